"""A real console process on a pseudo-terminal: keys in, raw bytes out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from types import TracebackType

# What a test run may have set for itself, and a terminal would not.
_OF_OURS = ("NO_COLOR", "COLUMNS", "LINES")
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()].|[=>])")


class PtyConsole:
    """`ironforge console ARGS`. Use as a context; `exit_code` is known after it."""

    def __init__(self, *args: str, columns: int = 120, lines: int = 36, **environment: str) -> None:
        self.seen = b""
        self.exit_code: int | None = None
        self.started_at = time.monotonic()
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            inherited = {name: value for name, value in os.environ.items() if name not in _OF_OURS}
            given = {"TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
            command = [sys.executable, "-m", "ironforge.cli.main", "console", *args]
            os.execve(sys.executable, command, {**inherited, **given})

    def __enter__(self) -> PtyConsole:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.exit_code is None:
            self.end()

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str, timeout_s: float = 15.0) -> float:
        """Seconds since the start at which the text had come. Only what came after the last wait counts."""
        deadline, before = time.monotonic() + timeout_s, len(self.seen)
        wanted = text.encode()
        while wanted not in _SEQUENCE.sub(b"", self.seen[before:]):
            assert time.monotonic() < deadline, f"{text!r} did not come: {self.text()[-2000:]}"
            self._read(0.1)
        return time.monotonic() - self.started_at

    def cpu_s(self) -> float:
        """Processor time it has used."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def text(self) -> str:
        return _SEQUENCE.sub(b"", self.seen).decode(errors="replace")

    def end(self, number: int = signal.SIGTERM) -> None:
        os.kill(self._pid, number)
        self.wait()

    def wait(self) -> None:
        """Reads until the process has closed its side: it must not block on a full terminal while it ends."""
        while self._read(10.0):
            pass
        _, status = os.waitpid(self._pid, 0)
        self.exit_code = os.waitstatus_to_exitcode(status)
        os.close(self._master)

    def _read(self, timeout_s: float) -> bool:
        try:
            if select.select([self._master], [], [], timeout_s)[0]:
                data = os.read(self._master, 65_536)
                self.seen += data
                return bool(data)
        except OSError:
            return False
        return True
