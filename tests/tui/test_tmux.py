"""The whole thing in a real terminal: a console in tmux, a server that is killed and comes back, and no orphans."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge.job import JobStatus
from ironforge.queue.backend import RedisQueue
from tests.needs import needs
from tests.queue.state import Lane, dead_job
from tests.system.processes import environment, free_port
from tests.waiting import eventually, wait_until

pytestmark = needs("tmux")
CONSOLE = f"{sys.executable} -m ironforge.cli.main console"


class Tmux:
    """One pane with a shell command in it, on a tmux server of its own."""

    def __init__(self, command: str, env: dict[str, str], columns: int = 120, lines: int = 36) -> None:
        self._socket = f"ironforge-{uuid.uuid4().hex[:8]}"
        new = ["new-session", "-d", "-s", "s", "-x", str(columns), "-y", str(lines)]
        self._run("-f", "/dev/null", *new, f"{command}; echo EXIT $?; sleep 1000", env=env)

    def press(self, *keys: str) -> None:
        self._run("send-keys", "-t", "s", *keys)

    def screen(self) -> str:
        return self._run("capture-pane", "-p", "-t", "s")

    def shows(self, text: str, timeout_s: float = 20.0) -> str:
        wait_until(lambda: text in self.screen(), timeout_s, f"the terminal shows {text!r}")
        return self.screen()

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True)

    def _run(self, *args: str, env: dict[str, str] | None = None) -> str:
        command = ["tmux", "-L", self._socket, *args]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


class Server:
    """`ironforge server` as a process that can be killed and started again."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self._env, self._log = env, log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "ironforge.cli.main", "server"]
            self.process = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def env(redis_url: str, namespace: str, tmp_path: Path) -> dict[str, str]:
    more = {
        "BIND_ADDR": f"127.0.0.1:{free_port()}",
        "IRONFORGE_DATA_DIR": str(tmp_path),
        "TERM": "xterm-256color",
    }
    return environment(redis_url, namespace, **more)


@pytest.fixture
def server(env: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    server = Server(env, tmp_path / "server.log")
    yield server
    server.kill()


def _cursor_line(screen: str) -> str:
    return next((line[2:14] for line in screen.split("\n") if line.startswith("▌")), "")


async def test_retry_loss_return_and_quit(
    queue: RedisQueue, namespace: str, env: dict[str, str], server: Server
) -> None:
    lane = await Lane(queue).register(lease_ms=120_000)
    jobs = [await dead_job(queue, lane) for _ in range(4)]
    wait_until(lambda: _answers(env["BIND_ADDR"]), 20, "the server answers")
    tmux = Tmux(f"{CONSOLE} --url http://{env['BIND_ADDR']}", env)
    try:
        await asyncio.to_thread(_reach_dead_jobs, tmux, jobs[0].id[-12:])
        tmux.press("R")

        async def is_queued() -> bool:
            return (await queue.get(jobs[3].id)).status is JobStatus.QUEUED

        await eventually(is_queued, 10, "R retries the newest dead job at once")
        await asyncio.to_thread(tmux.shows, "queued again")
        await asyncio.to_thread(_lose_and_return, tmux, server)
        tmux.press("q")
        await asyncio.to_thread(_leave, tmux)
    finally:
        tmux.close()


def _answers(address: str) -> bool:
    from ironforge.cli.bundle import who_answers

    return who_answers(f"http://{address}") == "ironforge"


def _reach_dead_jobs(tmux: Tmux, oldest: str) -> None:
    tmux.shows("● live")
    tmux.press("3")
    tmux.shows("4 jobs in 1 group")
    tmux.press("Enter")
    tmux.shows(oldest)


def _lose_and_return(tmux: Tmux, server: Server) -> None:
    tmux.shows("3 of 3 loaded")
    top = _stable_cursor(tmux)
    tmux.press("G")  # one move: there is no row in between to be taken for its end
    wait_until(lambda: _cursor_line(tmux.screen()) not in ("", top), 10, "the cursor is at the end")
    before = _stable_cursor(tmux)
    server.kill()
    screen = tmux.shows("OFFLINE")
    assert before in screen, "what is known stays on the screen"
    tmux.press("R")
    tmux.shows("not possible while offline")
    server.start()
    tmux.press("r")
    tmux.shows("● live", 30)
    tmux.shows("back after")
    assert _stable_cursor(tmux) == before, "the cursor is on the same job"


def _stable_cursor(tmux: Tmux) -> str:
    seen = [""]

    def stable() -> bool:
        seen.append(_cursor_line(tmux.screen()))
        return seen[-1] == seen[-2] != ""

    wait_until(stable, 10, "the cursor stands still")
    return seen[-1]


def _leave(tmux: Tmux) -> None:
    tmux.shows("in 1 group")  # one level up from the jobs of the group
    tmux.press("1")
    tmux.shows("NEEDS ATTENTION")
    tmux.press("q")
    tmux.shows("Leave the console?")
    tmux.press("y")
    screen = tmux.shows("EXIT 0")
    assert "Traceback" not in screen


# -- what it starts ends with it ------------------------------------------------------------------------------------------


def _family(data_dir: Path) -> list[str]:
    """Command lines of living processes that were given this data folder."""
    found: list[str] = []
    wanted = f"IRONFORGE_DATA_DIR={data_dir}".encode()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def _left(data_dir: Path) -> list[str]:
    """Without tmux, its shell and what that sleeps in."""
    return [line for line in _family(data_dir) if "sleep 1000" not in line]


def _console_pid(data_dir: Path) -> int:
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"console" in command and f"IRONFORGE_DATA_DIR={data_dir}".encode() in (
                process / "environ"
            ).read_bytes().split(b"\0"):
                return int(process.name)
        except OSError:
            continue
    raise AssertionError("no console runs")


@pytest.mark.parametrize("way", ["quit", "kill"])
def test_what_the_console_started_ends_with_it(way: str, tmp_path: Path) -> None:
    env = {name: value for name, value in environment("", "x").items() if name != "REDIS_URL"}
    env |= {
        "BIND_ADDR": f"127.0.0.1:{free_port()}",
        "IRONFORGE_DATA_DIR": str(tmp_path),
        "TERM": "xterm-256color",
    }
    del env["IRONFORGE_NAMESPACE"]
    tmux = Tmux(f"{CONSOLE} --demo", env, 80, 24)
    try:
        tmux.shows("● live", 30)
        wait_until(lambda: re.search(r"run [1-9]", tmux.screen()), 30, "the demo's jobs run")
        running = " ".join(_family(tmp_path))
        assert all(
            part in running for part in ("main server", "main worker", "demo.traffic", "valkey-server")
        )
        if way == "quit":
            tmux.press("q")
            tmux.shows("traffic")
            tmux.press("y")
            tmux.shows("EXIT 0", 30)
        else:
            os.kill(_console_pid(tmp_path), signal.SIGKILL)
            tmux.shows("EXIT 137")
        wait_until(lambda: not _left(tmp_path), 30, "nothing is left running")
    finally:
        tmux.close()
