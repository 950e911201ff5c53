"""What scenarios about workers share: a server of their own, groups of workers on it, and the ledger read as it grows."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from ironforge.queue.backend import RedisQueue
from tests.chaos.scorecard import Setting
from tests.redis_server import RedisServer
from tests.system.bench import Bench
from tests.system.processes import children_of


class Line(NamedTuple):
    """What a handler wrote: a word, the job's mark, its process, and when (`time.monotonic()`)."""

    word: str
    mark: int
    pid: int
    at: float


class Ledger:
    """The append-only file that handlers write, in memory as far as it was read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.lines: list[Line] = []
        self.of: dict[int, list[Line]] = {}

    def read(self) -> list[Line]:
        """The lines since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        fresh = [
            Line(word, int(mark), int(pid), float(at))
            for word, mark, pid, at in map(str.split, whole.decode().splitlines())
        ]
        self.lines += fresh
        for line in fresh:
            self.of.setdefault(line.mark, []).append(line)
        return fresh

    def begun(self, mark: int) -> int:
        """How often a job began."""
        return sum(line.word == "start" for line in self.of[mark])

    def running_in(self, pid: int) -> list[int]:
        """Marks of the jobs that the process began and did not end."""
        return [mark for mark, lines in self.of.items() if lines[-1].word == "start" and lines[-1].pid == pid]


class Arena(NamedTuple):
    """A namespace, its workers, and what their handlers wrote."""

    queue: RedisQueue
    bench: Bench
    ledger: Ledger


@asynccontextmanager
async def arena(setting: Setting, server: RedisServer, name: str) -> AsyncIterator[Arena]:
    """Its workers are ended with it."""
    folder = setting.folder / name
    folder.mkdir()
    bench = Bench(server.url, name, folder)
    async with RedisQueue(server.url, name) as queue:
        try:
            yield Arena(queue, bench, Ledger(bench.ledger))
        finally:
            bench.close()


def tree_of(pid: int) -> list[int]:
    """The process and all below it."""
    return [pid, *(below for child in children_of(pid) for below in tree_of(child))]


def kill_whole(process: subprocess.Popen[bytes]) -> list[int]:
    """As when its host loses power: nobody of the group is left to tell. Gives the processes it had."""
    pids = tree_of(process.pid)
    for number in (signal.SIGSTOP, signal.SIGKILL):  # first nobody moves, so that nobody sees another die
        for pid in pids:
            os.kill(pid, number)
    process.wait()
    return pids


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that at least q of them do not exceed; 0.0 of none."""
    found = sorted(values)
    return found[min(len(found) - 1, int(q * len(found)))] if found else 0.0
