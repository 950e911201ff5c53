"""What a supervisor holds of a child that it started: its process, the channel to it, and its board."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from ironforge import lifeline
from ironforge.worker import control
from ironforge.worker.blockage import Blockage, judge
from ironforge.worker.board import Board, SlotReading


@dataclass(slots=True)
class Child:
    """One process and its registration.

    Attributes:
        claims: it was told to go on and claim.
        ended_by_us: the supervisor killed it, so its end is no crash.
        replaceable: another may be started in its place although it has not ended yet.
        blockage: why its loop did not turn at the last look.
        blamed, stack: the jobs it was ended for, and where it was.
        policies: back-off of each kind, as JSON.
    """

    wid: str
    tied: lifeline.Tied
    channel: socket.socket
    board: Board
    born: float = field(default_factory=time.monotonic)
    registered: bool = False
    claims: bool = False
    ended_by_us: bool = False
    replaceable: asyncio.Event = field(default_factory=asyncio.Event)
    blockage: Blockage | None = None
    blamed: tuple[SlotReading, ...] = ()
    stack: str = ""
    policies: dict[str, str] = field(default_factory=dict[str, str])
    rss_bytes: int = 0

    @classmethod
    def start(cls, order: Callable[[int, int], control.ChildOrder], slots: int) -> Self:
        """Starts a process by the order that is made of its end of the channel and of the board's descriptor."""
        ours, theirs = socket.socketpair()
        board = Board.make(slots)
        # A session of its own: Ctrl-C in the terminal is for the supervisor, which tells its children.
        tied = lifeline.tie(
            [sys.executable, "-m", "ironforge.worker.child", order(theirs.fileno(), board.fd).to_json()],
            inherit=(theirs.fileno(), board.fd),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        return cls(worker_id(tied.process.pid), tied, ours, board)

    @property
    def pid(self) -> int:
        return self.tied.process.pid

    def end(self) -> None:
        """Kills it; its end is ours then, and no crash."""
        self.ended_by_us = True
        if self.tied.process.poll() is None:
            self.tied.process.send_signal(signal.SIGKILL)

    def stop(self, step: int) -> None:
        """Down the ladder: 1 drain, 2 release, 3 end. One that claims nothing yet is ended at once."""
        if step > 2 or not self.claims:
            self.end()
            return
        with contextlib.suppress(OSError):  # it is gone already
            control.send(self.channel, {"stop": step})

    def look(self, grace_s: float) -> bool:
        """Reads its memory and its board; ends it when it is blocked past the time of its job and a grace.

        Returns:
            Whether it became blocked, turns again, or was ended.
        """
        self._look_at_memory()
        if not self.claims or self.ended_by_us:
            return False
        page, before = self.board.read(), self.blockage
        if page.recycling:
            self.replaceable.set()
        self.blockage = judge(page, time.monotonic(), grace_s)
        # At two looks: a host that stood still for a minute must not blame anybody for it.
        if self.blockage and self.blockage.end and before:
            self.blamed, self.stack = self.blockage.blamed, self.blockage.stack
            self.end()
            return True
        return (self.blockage is None) != (before is None)

    def blocked_words(self) -> dict[str, Any] | None:
        """What /workers shows while it is blocked."""
        found = self.blockage
        return found and {"job_id": found.job_id, "since_s": round(found.since_s, 1), "stack": found.stack}

    def _look_at_memory(self) -> None:
        """Kept for the day it dies: then nobody can ask any more."""
        try:
            with open(f"/proc/{self.pid}/statm") as statm:
                self.rss_bytes = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            pass

    def ended_on_purpose(self, code: int, *, stopping: bool) -> bool:
        """Whether an end with this exit code was meant: by us, by itself on its way out, or by a service manager.

        A handler can end its process with any code, also 0: that is a crash unless the child was leaving.
        """
        if self.ended_by_us or code == control.LEASE_LOST or (stopping and code == -signal.SIGTERM):
            return True
        return code in (control.DONE, control.RECYCLE) and self.board.read().leaving

    def evidence(self, code: int) -> dict[str, Any]:
        """What is known of its death."""
        return {"ended": end_words(code), "pid": self.pid, "rss_bytes": self.rss_bytes or None, "host": socket.gethostname()}  # fmt: skip

    def forget(self) -> None:
        self.channel.close()
        self.board.close()
        self.tied.release()


def worker_id(pid: int) -> str:
    host = "".join(c if c.isalnum() or c == "-" else "-" for c in socket.gethostname().lower())[:24]
    return f"{host}-{pid}-{secrets.token_hex(3)}"


def end_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
