"""A few processes at a time, each with a server of its own, one task after another."""

from __future__ import annotations

import os
import resource
import select
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.mutants.child import Task, Told, run_task
from tests.redis_server import RedisServer

_SERVER_BYTES = 3 << 30  # a script that never ends may fill the memory long before its time is over


@dataclass(slots=True)
class Outcome:
    """
    Attributes:
        steps: what ended, in order.
        failed: the step that did not hold, None when all did.
        hang: whether it was ended, or its server did not answer any more.
    """

    task: Task
    steps: list[Told] = field(default_factory=list[Told])
    failed: Told | None = None
    hang: bool = False


class Pool:
    """Use as a context manager. Runs tasks in children of this process, which has collected the tests."""

    def __init__(self, items: Sequence[pytest.Item], binary: str, jobs: int) -> None:
        self._items = items
        self._folder = tempfile.TemporaryDirectory(prefix="if-m-")
        self._slots = [_Slot(Path(self._folder.name) / str(at), binary) for at in range(jobs)]

    def __enter__(self) -> Pool:
        for slot in self._slots:
            slot.start_server()
        return self

    def __exit__(self, *_: object) -> None:
        for slot in self._slots:
            slot.close()
        self._folder.cleanup()

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """The outcomes as they come, in any order."""
        waiting = iter(tasks)
        free, busy = list(self._slots), dict[int, _Slot]()
        while True:
            while free and (task := next(waiting, None)):
                slot = free.pop()
                busy[slot.begin(task, self._items)] = slot
            if not busy:
                return
            pause = max(0.0, min(slot.deadline for slot in busy.values()) - time.monotonic())
            ready, _, _ = select.select(list(busy), [], [], pause)
            for pipe in list(busy):
                slot = busy[pipe]
                ended = slot.hear() if pipe in ready else time.monotonic() > slot.deadline
                if ended:
                    del busy[pipe]
                    yield slot.finish()
                    free.append(slot)


class _Slot:
    """One server, and the child that uses it."""

    def __init__(self, folder: Path, binary: str) -> None:
        folder.mkdir()
        self._server = RedisServer(folder, binary)
        self._pid = self._pipe = 0
        self._heard = b""
        self._outcome: Outcome
        self.deadline = 0.0

    def start_server(self) -> None:
        self._server.start()
        assert self._server.process
        if hasattr(resource, "prlimit"):
            resource.prlimit(self._server.process.pid, resource.RLIMIT_AS, (_SERVER_BYTES, _SERVER_BYTES))

    def begin(self, task: Task, items: Sequence[pytest.Item]) -> int:
        """Starts the child; the pipe on which it speaks."""
        self._outcome, self._heard = Outcome(task), b""
        self._pipe, theirs = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            run_task(task, items, self._server, theirs)
        os.close(theirs)
        self.deadline = time.monotonic() + self._outcome.task.silence_s
        return self._pipe

    def hear(self) -> bool:
        """Takes in what the child says; True when it said its last."""
        said = os.read(self._pipe, 65536)
        if not said:
            return True
        self.deadline = time.monotonic() + self._outcome.task.silence_s
        *lines, self._heard = (self._heard + said).split(b"\n")
        for told in map(Told.of, lines):
            if not told.ended:
                continue
            self._outcome.steps.append(told)
            if not told.ok and not self._outcome.failed:
                self._outcome.failed = told
        return False

    def finish(self) -> Outcome:
        """Ends the child if it still runs, and has a server that answers for the next one."""
        outcome = self._outcome
        outcome.hang = time.monotonic() > self.deadline
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._pipe)
        self._pid = 0
        if not self._answers():
            outcome.hang = True
            self._server.kill()
            self.start_server()
        return outcome

    def _answers(self) -> bool:
        client = redis.Redis(unix_socket_path=str(self._server.socket), socket_timeout=3, protocol=3)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def close(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._server.stop()
