"""Processes that end with the one that started them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from ironforge import lifeline
from tests.waiting import wait_until

# Ends itself gracefully on SIGTERM and says so.
_TIED = """
import os, signal, sys
from pathlib import Path
from ironforge import lifeline

def bye(*_):
    Path(sys.argv[1]).write_text("ended in order")
    sys.exit(0)

signal.signal(signal.SIGTERM, bye)
assert os.environ["IRONFORGE_LIFELINE"]
lifeline.watch()
assert "IRONFORGE_LIFELINE" not in os.environ
print("ready", flush=True)
while True:
    signal.pause()
"""
_STUBBORN = """
import signal
from ironforge import lifeline
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lifeline.watch(hard_exit_after_s=0.2)
print("ready", flush=True)
while True:
    signal.pause()
"""
_STARTER = """
import signal, subprocess, sys
from ironforge import lifeline
tied = lifeline.tie([sys.executable, "-c", sys.argv[1], sys.argv[2]], stdout=subprocess.PIPE)
assert tied.process.stdout.readline() == b"ready\\n"
print(tied.process.pid, flush=True)
signal.pause()
"""


def begin(code: str, *words: str) -> lifeline.Tied:
    tied = lifeline.tie([sys.executable, "-c", code, *words], stdout=subprocess.PIPE)
    assert tied.process.stdout and tied.process.stdout.readline() == b"ready\n"
    return tied


def finish(tied: lifeline.Tied) -> int:
    assert tied.process.stdout
    tied.process.stdout.close()
    return tied.process.wait(10)


def test_releasing_it_ends_the_tied_process_in_order(tmp_path: Path) -> None:
    tied = begin(_TIED, str(tmp_path / "bye"))
    tied.release()
    tied.release()
    assert finish(tied) == 0
    assert (tmp_path / "bye").read_text() == "ended in order"


def test_killing_the_starter_ends_the_tied_process_in_order(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _STARTER, _TIED, str(tmp_path / "bye")]
    starter = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert starter.stdout
    tied = int(starter.stdout.readline())
    starter.kill()
    starter.communicate()
    wait_until((tmp_path / "bye").exists, 10, "the tied process ended in order")
    wait_until(lambda: not Path(f"/proc/{tied}/cmdline").exists() or _is_zombie(tied), 10, "it is gone")


def test_one_that_does_not_end_is_ended() -> None:
    tied = begin(_STUBBORN)
    tied.release()
    assert finish(tied) == lifeline.HARD_EXIT


def test_a_sibling_does_not_hold_the_line(tmp_path: Path) -> None:
    """A process started in between must not inherit our end, or the death of ours would go unnoticed."""
    tied = begin(_TIED, str(tmp_path / "bye"))
    sibling = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        tied.release()
        assert finish(tied) == 0
    finally:
        sibling.communicate()


def test_an_untied_process_is_left_alone() -> None:
    assert lifeline.VARIABLE not in os.environ
    lifeline.watch(on_loss=lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_the_line_is_not_passed_on(tmp_path: Path) -> None:
    """The tied process's own children get neither the variable nor the descriptor."""
    code = """
import os, subprocess, sys
from ironforge import lifeline
fd = int(os.environ["IRONFORGE_LIFELINE"])
lifeline.watch()
print("inheritable" if os.get_inheritable(fd) else "ready", flush=True)
sys.stdin.read()
"""
    tied = lifeline.tie([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    said, _ = tied.process.communicate()
    assert said == b"ready\n"
    tied.release()


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
