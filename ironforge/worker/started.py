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
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ironforge import lifeline
from ironforge.worker import control
from ironforge.worker.blockage import Blockage, judge
from ironforge.worker.board import Board, SlotReading
from ironforge.worker.stacks import stack_of_dump

ANSWER_S = 0.05  # for a stack that was asked for


@dataclass(slots=True)
class Child:
    """One process and its registration.

    Attributes:
        claims: it was told to go on and claim.
        ended_by_us: the supervisor killed it, so its end is no crash.
        replaceable: another may be started in its place although it has not ended yet.
        blockage: why its loop did not turn at the last look.
        told_blocked: what /workers shows of that.
        blamed, stack: the jobs it was ended for, and where it was.
        policies: back-off of each kind, as JSON.
        rss_bytes: of the last look, at the end the most it ever had.
        handed_back: jobs it left behind.
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
    told_blocked: bool = False
    blamed: tuple[SlotReading, ...] = ()
    stack: str = ""
    policies: dict[str, str] = field(default_factory=dict[str, str])
    rss_bytes: int = 0
    handed_back: int = 0

    @classmethod
    def start(cls, order: Callable[[int, int], control.ChildOrder], slots: int) -> Self:
        """Starts a process by the order that is made of its end of the channel and of the board's descriptor."""
        ours, theirs = socket.socketpair()
        board = Board.make(slots)
        # A session of its own: Ctrl-C in the terminal is for the supervisor, which tells its children.
        tied = lifeline.tie(
            [
                sys.executable,
                "-m",
                "ironforge.worker.start",
                "child",
                order(theirs.fileno(), board.fd).to_json(),
            ],
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

    def wait(self) -> int:
        """Its exit code, once it ended."""
        process = self.tied.process
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except ChildProcessError:  # who was about to end it learnt of its end first
            return process.wait()
        process.returncode = os.waitstatus_to_exitcode(status)
        self.rss_bytes = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
        return process.returncode

    async def look(self, grace_s: float) -> bool:
        """Reads its memory and its board; ends it when it is blocked past the time of its job and a grace.

        Returns:
            Whether it was ended by this look.
        """
        self._look_at_memory()
        # Once it ended, its board may be closed.
        if not self.claims or self.ended_by_us or self.tied.process.returncode is not None:
            return False
        page, before = self.board.read(), self.blockage
        if page.recycling:
            self.replaceable.set()
        self.blockage = judge(page, time.monotonic(), grace_s)
        if self.blockage and not self.blockage.stack and page.answers:
            self.blockage = replace(
                self.blockage, stack=before.stack if before else await self._asked_stack()
            )
        # At two looks: a host that stood still for a minute must not blame anybody for it.
        if self.blockage and self.blockage.end and before:
            self.blamed, self.stack = self.blockage.blamed, self.blockage.stack
            self.end()
            return True
        return False

    async def _asked_stack(self) -> str:
        """Its watchdog could not tell, because C code keeps the interpreter."""
        self.board.ask_stack(self.pid)
        await asyncio.sleep(ANSWER_S)
        if self.tied.process.returncode is not None:  # it ended meanwhile, and its board may be closed
            return ""
        return stack_of_dump(self.board.asked_stack())

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
        page = self.board.read()
        if self.ended_by_us or (stopping and code == -signal.SIGTERM):
            return True
        if code == control.DONE and not page.turned_at:  # asked to end before it could run anything
            return True
        return code in (control.DONE, control.RECYCLE, control.LEASE_LOST) and page.leaving

    def evidence(self, code: int) -> dict[str, Any]:
        """What is known of its death, for the attempts of its jobs."""
        ran = len(self.board.read().runs)
        return {"ended": end_words(code), "pid": self.pid, "rss_bytes": self.rss_bytes or None, "host": socket.gethostname(), "jobs_at_once": ran}  # fmt: skip

    def crash(self, code: int) -> dict[str, Any]:
        """What is known of its death, for the record of the worker that takes its place."""
        return {
            **self.evidence(code),
            "worker": self.wid,
            "at": round(time.time() * 1000),
            "signal": _signal_name(-code) if code < 0 else None,
            "exit_code": code if code >= 0 else None,
            "jobs": [run.job_id for run in self.board.read().runs][:20],
        }

    def forget(self) -> None:
        self.channel.close()
        self.board.close()
        self.tied.release()


def worker_id(pid: int) -> str:
    host = "".join(c if c.isalnum() or c == "-" else "-" for c in socket.gethostname().lower())[:24]
    return f"{host}-{pid}-{secrets.token_hex(3)}"


def end_words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {_signal_name(-code)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
