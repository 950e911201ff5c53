from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest


def test_the_console_paints_before_it_loads_anything_heavy() -> None:
    code = "import sys, ironforge.tui.app; print(*sorted({m.split('.')[0] for m in sys.modules} & set(sys.argv[1].split())))"
    heavy = "httpx redis fastapi uvicorn pydantic"
    found = subprocess.run([sys.executable, "-c", code, heavy], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_draw_gets_a_sentence(term: str) -> None:
    command = [sys.executable, "-m", "ironforge.cli.main", "console"]
    found = subprocess.run(
        command, env={**os.environ, "TERM": term}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert found.returncode == 2
    assert (
        found.stderr.startswith("ironforge: the console needs a terminal") and found.stderr.count("\n") == 1
    )


def test_no_terminal_gets_a_sentence() -> None:
    command = [sys.executable, "-m", "ironforge.cli.main", "console"]
    environment = {**os.environ, "TERM": "xterm-256color"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert found.returncode == 2 and "needs a terminal on its input" in found.stderr


def test_a_small_terminal_is_told_its_size_and_what_is_needed(tmp_path: object) -> None:
    text = _output_of_a_pty(columns=50, lines=12, wanted=b"60")
    assert b"50" in text and b"60" in text and b"Traceback" not in text


def _output_of_a_pty(columns: int, lines: int, wanted: bytes) -> bytes:
    pid, master = pty.fork()
    if pid == 0:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "IRONFORGE_URL": "http://127.0.0.1:1"}
        os.execve(sys.executable, [sys.executable, "-m", "ironforge.cli.main", "console"], environment)
    seen, deadline = b"", time.monotonic() + 15
    try:
        while wanted not in seen and time.monotonic() < deadline:
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 65_536)
    finally:
        os.kill(pid, signal.SIGTERM)
        _drain(master)
        os.waitpid(pid, 0)
        os.close(master)
    return seen


def _drain(master: int) -> None:
    """Reads until the child closed its side: it must not block on a full terminal while it ends."""
    try:
        while select.select([master], [], [], 5)[0] and os.read(master, 65_536):
            pass
    except OSError:
        return
