"""What really reaches a terminal: bytes of a console process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane
from tests.server.conftest import Served
from tests.tui.ptys import PtyConsole

EVIL = "\x1b]0;evil\x07\x1b[2J\u202e[/red]\x9b31m"
LONGEST_CPU_S = 1.5
NOWHERE = {"IRONFORGE_URL": "http://127.0.0.1:1"}


async def _hostile_job(queue: RedisQueue, lane: Lane) -> str:
    payload = {"evil": EVIL, EVIL: 1, "long": "z" * 100_000, "family": "👩‍👩‍👧"}
    await queue.enqueue(NewJob("greet", json.dumps(payload).encode(), max_retries=0, tags=("t",)))
    (job,) = await lane.claim(1)
    error = {"type": f"E{EVIL}", "message": f"message {EVIL}", "traceback": f'  File "{EVIL}", line 1, in {EVIL}\n    {EVIL}\nE: {EVIL}'}  # fmt: skip
    assert await lane.settle(job, "dead", error_json=json.dumps(error), fingerprint="f1") == "ok"
    return job.id


async def test_nothing_of_a_hostile_job_reaches_the_terminal_as_it_is(
    queue: RedisQueue, served: Served, lane: Lane
) -> None:
    job_id = await _hostile_job(queue, lane)

    def visit() -> bytes:
        with PtyConsole("--url", served.url) as console:
            console.wait_for("default")
            console.press("3")
            console.wait_for("enter shows the jobs")
            console.press("\r")
            console.wait_for(job_id[-12:])
            console.press("\r")
            console.wait_for("Attempts")
            for key, shown in (("h", "family"), ("l", "ERROR"), ("l", "OUTCOME"), ("l", "submitted"), ("l", "retry_count")):  # fmt: skip
                console.press(key)
                console.wait_for(shown)
        assert console.exit_code == 0
        return console.seen

    seen = await asyncio.to_thread(visit)
    seen = seen.replace(b"\x1b]22;default\x07", b"")  # Textual's own: the shape of the pointer
    for bad in (b"\x1b]", b"\x07", "\u202e".encode(), "\x9b".encode(), b"\x1b[2J\xe2\x80\xae"):
        assert bad not in seen, bad
    assert "␛]0;evil␇" in seen.decode() and "[/red]" in seen.decode()


def test_no_colour_when_none_is_wanted() -> None:
    with PtyConsole(NO_COLOR="1", **NOWHERE) as console:
        console.wait_for("OFFLINE")
        console.press("?")
        console.wait_for("Capitals change the system")
    coloured = re.compile(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")
    assert not coloured.search(console.seen), coloured.search(console.seen)
    with PtyConsole(**NOWHERE) as console:
        console.wait_for("OFFLINE")
    assert coloured.search(console.seen), "and with colours this pattern finds them"


def test_something_is_on_the_screen_at_once() -> None:
    """In processor time, for the machine may be busy: 0.35 s on a quiet one, up to 1 s beside the rest of the tests."""
    best = 99.0
    for _ in range(3):
        with PtyConsole(**NOWHERE) as console:
            console.wait_for("ironforge")
            best = min(best, console.cpu_s())
        if best < LONGEST_CPU_S:
            break
    assert best < LONGEST_CPU_S


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    with PtyConsole(**NOWHERE) as console:
        console.wait_for("OFFLINE")
        console.end(number)
    assert console.exit_code == 0
    assert b"\x1b[?1049l" in console.seen, "the terminal is given back"


def test_a_small_terminal_is_told_its_size_and_what_is_needed() -> None:
    with PtyConsole(columns=50, lines=12, **NOWHERE) as console:
        console.wait_for("60×16")
        assert "50×12" in console.text() and "Traceback" not in console.text()


@pytest.mark.parametrize("term", ["dumb", "", "xterm-256color"])
def test_without_a_terminal_that_can_draw_there_is_a_sentence(term: str) -> None:
    command = [sys.executable, "-m", "ironforge.cli.main", "console"]
    found = subprocess.run(
        command, env={**os.environ, "TERM": term}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert found.returncode == 2
    assert found.stderr.startswith("ironforge: the console needs a terminal")
    assert found.stderr.count("\n") == 1 and found.stdout == ""
