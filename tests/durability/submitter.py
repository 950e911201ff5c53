"""Somebody who submits one job after another, and writes down what was answered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count

from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue


class Submitter:
    """Its jobs carry their number as `mark`.

    Attributes:
        accepted: id -> when it was answered (`time.monotonic()`).
        marks: the same by the number the job carries.
        refused: how often each error was answered.
    """

    def __init__(
        self,
        queue: RedisQueue,
        kind: str = "quick",
        pause_s: float = 0.005,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self.queue = queue
        self.accepted: dict[str, float] = {}
        self.marks: dict[int, float] = {}
        self.refused: Counter[str] = Counter()
        self._numbers = numbers or count(1)
        self._kind, self._pause_s = kind, pause_s
        self._stop = asyncio.Event()

    async def run(self) -> None:
        while not self._stop.is_set():
            mark = next(self._numbers)
            new = NewJob(self._kind, b'{"mark":%d}' % mark)
            try:
                job = await self.queue.enqueue(new)
            except StoreUnavailable as error:
                self.refused[error.code] += 1
            else:
                self.accepted[job.id] = self.marks[mark] = time.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._pause_s)

    def stop(self) -> None:
        self._stop.set()


@asynccontextmanager
async def submitting(
    queue: RedisQueue, *, kind: str = "quick", pause_s: float = 0.005, numbers: Iterator[int] | None = None
) -> AsyncIterator[Submitter]:
    """Submits while the block runs. An error that is not about the store being away fails the test."""
    submitter = Submitter(queue, kind, pause_s, numbers)
    task = asyncio.create_task(submitter.run())
    try:
        yield submitter
    finally:
        submitter.stop()
        await task
