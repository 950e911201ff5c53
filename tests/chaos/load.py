"""Steady submission of jobs while things break. Only what Redis confirmed counts as acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Literal

from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.chaos.ledger import Ledger
from tests.chaos.pacing import during
from tests.waiting import eventually

BATCH = 25
# Completed jobs are kept up to 10,000 a queue: every job has to be there at the end.
JOBS_PER_QUEUE = 8_000
MakeJob = Callable[[Random], NewJob]


def queues_for(jobs: int) -> tuple[str, ...]:
    """As many queues as so many jobs need."""
    return tuple(f"q{at}" for at in range(-(-jobs // JOBS_PER_QUEUE)))


def short_job(rng: Random) -> NewJob:
    """0.02 to 0.18 s; one in ten blocks a thread, one in twenty is for later."""
    kind = "chaos.thread" if rng.random() < 0.1 else "chaos.nap"
    delay_ms = rng.randrange(500, 3000) if rng.random() < 0.05 else None
    payload = json.dumps({"s": round(rng.uniform(0.02, 0.18), 3)}).encode()
    return NewJob(kind, payload, delay_ms=delay_ms)


class Load:
    """Submits until it is enough, and at least `least` jobs: queue after queue, never more than `ahead` beyond what has run.

    Args:
        room: for so many jobs the workers serve queues, see `queues_for`; None where they serve enough.

    Attributes:
        acknowledged: ids that Redis confirmed.
        enough: set when the work that this is the load for is done.
    """

    def __init__(
        self,
        queue: RedisQueue,
        ledger: Ledger,
        least: int,
        rng: Random,
        make: MakeJob = short_job,
        *,
        room: int | None = None,
        ahead: int = 1_500,
    ) -> None:
        self.acknowledged: list[str] = []
        self.enough = asyncio.Event()
        self._queue = queue
        self._ledger = ledger
        self._least = least
        self._rng = rng
        self._make = make
        self._room = room
        self._ahead = ahead

    async def submit(self) -> None:
        """A batch that was not confirmed is sent again as it is."""
        while await eventually(self._wanted, 900, "jobs go on") == "more":
            count = BATCH if self._left <= 0 else min(BATCH, self._left)
            batch = [self._make(self._rng).with_id() for _ in range(count)]
            for at, new in enumerate(batch, start=len(self.acknowledged)):
                new.queue = f"q{at // JOBS_PER_QUEUE}"
            await self._insist(batch)

    async def during(self, work: Coroutine[Any, Any, None]) -> None:
        """Submits as long as that goes on."""
        submitting = asyncio.create_task(self.submit())
        working = asyncio.create_task(work)
        working.add_done_callback(lambda _: self.enough.set())
        try:
            done, _ = await asyncio.wait({submitting, working}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            submitting.cancel()
            working.cancel()
            await asyncio.gather(submitting, working, return_exceptions=True)

    @property
    def _left(self) -> int:
        return self._least - len(self.acknowledged)

    def _wanted(self) -> Literal["more", "done"] | None:
        if self._room is not None:
            assert len(self.acknowledged) < self._room, "more jobs than the queues have room for"
        self._ledger.read()  # nobody else may, once everything was done to the workers
        if self._left <= 0 and self.enough.is_set():
            return "done"
        return "more" if len(self.acknowledged) - self._ledger.ended < self._ahead else None

    async def _insist(self, batch: list[NewJob]) -> None:
        while True:
            try:
                jobs = await self._queue.enqueue_many(batch)
            except StoreUnavailable:
                await during(0.1)
            else:
                self.acknowledged += [job.id for job in jobs]
                return
