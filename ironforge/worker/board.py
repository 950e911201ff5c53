"""A page of memory that a child shares with its supervisor: which job is in which slot, and when its loop last turned.

A child that is blocked can send nothing, least of all while C code keeps the interpreter's lock. The page tells the
supervisor all the same what it had begun, and when the time of each job is up. Instants are `time.monotonic()`, which
processes of one host share.
"""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import signal
import struct
import tempfile
from dataclasses import dataclass
from typing import Self

_TURNED = struct.Struct("=d")  # at 0
_BLOCKED = struct.Struct("=dII")  # at 8: since, slot, length of the stack text
_LEAVING, _RECYCLING, _ANSWERS = 24, 25, 26  # one byte each
_STACK, _STACK_BYTES = 32, 3_500
_SLOTS = 4_096
_RECORD = struct.Struct("=dd36s")  # ends at, limit in seconds, job id
_RECORD_BYTES = 64
_FREE = b"\0" * _RECORD.size
# The one way to the stack of a process whose interpreter is held by C code. One that nobody else uses; not on macOS.
STACK_SIGNAL: int | None = signal.SIGRTMAX - 3 if hasattr(signal, "SIGRTMAX") else None


@dataclass(frozen=True, slots=True)
class SlotReading:
    """A job that runs. `ends_at`: when its time limit is over."""

    job_id: str
    ends_at: float
    limit_s: float


@dataclass(frozen=True, slots=True)
class BoardReading:
    """`turned_at` is 0 before the loop's first turn. `blocker`, `stack`: what the child itself found, if it could.

    `answers`: it takes STACK_SIGNAL.
    """

    turned_at: float
    leaving: bool
    recycling: bool
    runs: tuple[SlotReading, ...]
    blocker: SlotReading | None
    stack: str
    answers: bool = False


class Board:
    """Written by the child, read by the supervisor. Slots count from 0."""

    def __init__(self, fd: int, slots: int) -> None:
        self.fd = fd
        self.slots = slots
        self._size = _SLOTS + slots * _RECORD_BYTES
        self._memory = mmap.mmap(fd, self._size)

    @classmethod
    def make(cls, slots: int) -> Self:
        """A new page in a file without a name. `fd` is for a child to inherit."""
        with tempfile.TemporaryFile() as file:
            os.ftruncate(file.fileno(), _SLOTS + slots * _RECORD_BYTES)
            return cls(os.dup(file.fileno()), slots)

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)

    def let_go(self) -> None:
        """For a writer that ends: no other process can be given the page, but a late handler may still write to it."""
        os.close(self.fd)

    # -- what the child writes ------------------------------------------------------------------------------------

    def turned(self, now: float) -> None:
        _TURNED.pack_into(self._memory, 0, now)

    def begin(self, slot: int, job_id: str, ends_at: float, limit_s: float) -> None:
        _RECORD.pack_into(self._memory, _SLOTS + slot * _RECORD_BYTES, ends_at, limit_s, job_id.encode())

    def end(self, slot: int) -> None:
        at = _SLOTS + slot * _RECORD_BYTES
        self._memory[at : at + _RECORD.size] = _FREE

    def blocked(self, since: float, slot: int | None, stack: str) -> None:
        """The loop has not turned since then. `slot`: whose job does not give it back; None when nobody knows."""
        text = stack.encode("utf-8", "replace")[-_STACK_BYTES:]
        self._memory[_STACK : _STACK + len(text)] = text
        _BLOCKED.pack_into(self._memory, 8, since, 0 if slot is None else slot + 1, len(text))

    def unblocked(self) -> None:
        _BLOCKED.pack_into(self._memory, 8, 0.0, 0, 0)

    def leave(self, *, recycling: bool) -> None:
        """From here on an end with exit code 0 is meant. `recycling`: it may be replaced already."""
        self._memory[_LEAVING] = 1
        if recycling:
            self._memory[_RECYCLING] = 1

    def answer_stack_signal(self) -> None:
        """From here on STACK_SIGNAL writes where the main thread is behind the page, also while C code runs there."""
        if STACK_SIGNAL is not None:
            faulthandler.register(STACK_SIGNAL, file=self.fd, all_threads=False)
            self._memory[_ANSWERS] = 1

    # -- what the supervisor reads --------------------------------------------------------------------------------

    def ask_stack(self, pid: int) -> None:
        """Has the process write its stack; `asked_stack` reads it. Only for one that answers: others it would end."""
        assert STACK_SIGNAL is not None
        os.ftruncate(self.fd, self._size)
        os.lseek(self.fd, self._size, os.SEEK_SET)  # both ends share the file's offset
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, STACK_SIGNAL)

    def asked_stack(self) -> str:
        return os.pread(self.fd, _STACK_BYTES, self._size).decode("utf-8", "replace")

    def read(self) -> BoardReading:
        (turned_at,) = _TURNED.unpack_from(self._memory, 0)
        since, blocker, length = _BLOCKED.unpack_from(self._memory, 8)
        slots: list[SlotReading | None] = [self._slot(at) for at in range(self.slots)]
        return BoardReading(
            turned_at,
            leaving=bool(self._memory[_LEAVING]),
            recycling=bool(self._memory[_RECYCLING]),
            runs=tuple(run for run in slots if run),
            blocker=slots[int(blocker) - 1] if since and blocker else None,
            stack=self._memory[_STACK : _STACK + length].decode("utf-8", "replace") if since else "",
            answers=bool(self._memory[_ANSWERS]),
        )

    def _slot(self, at: int) -> SlotReading | None:
        ends_at, limit_s, job_id = _RECORD.unpack_from(self._memory, _SLOTS + at * _RECORD_BYTES)
        return SlotReading(job_id.decode("ascii", "replace"), ends_at, limit_s) if job_id[0] else None
