"""The statistics document, built in one place for `/queues`, `/queues/stats` and the stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from ironforge import schemas
from ironforge.queue.backend import RedisQueue
from ironforge.queue.durability import Concern, concerns
from ironforge.queue.readings import (
    Health,
    Series,
    SlotCounts,
    Stats,
    WorkerReading,
)
from ironforge.schemas import instant_at
from ironforge.server import attention, documents
from ironforge.server.documents import RATE_WINDOW_S as WINDOW_S
from ironforge.server.documents import quantile_s

SLOTS = 30
# What changes slowly, or costs more to read than a list of queues, is kept for so long.
_TOTALS_S = 1.0
_HEALTH_S = 5.0


class Look(NamedTuple):
    """How the namespace is, and the version of each queue's lists: it grows with every change of them."""

    overview: schemas.Overview
    versions: dict[str, int]


class Overviews:
    """Reads the namespace and says how it is. Keeps nothing but what is slow to read and slow to change."""

    def __init__(self) -> None:
        self._health: tuple[float, Health] | None = None
        self._concerns: list[Concern] = []
        self._totals: tuple[float, Stats] | None = None

    async def read(self, queue: RedisQueue, *, fresh: bool = True) -> Look:
        """One consistent enough look at everything.

        Args:
            fresh: read the totals again too; a stream does without for a second.
        """
        await self.health(queue)
        began = time.perf_counter()
        queues = await queue.read_queues()
        redis_ms = (time.perf_counter() - began) * 1000
        series, workers = await asyncio.gather(queue.read_series(SLOTS), queue.workers())
        totals = await self._read_totals(queue, fresh)
        died = sum(sum(slot.dead.values()) for slot in series.slots)
        groups = (await queue.dead_groups(limit=50))[0] if died else []
        situation = attention.Situation(series.now_ms, queues, workers, self._concerns, died, groups)
        overview = schemas.Overview(
            now=instant_at(series.now_ms),
            stats=_stats(situation, series, totals),
            queues=[documents.queue(reading, series, workers) for reading in queues],
            series=documents.series(series),
            workers=_worker_counts(workers),
            redis_ms=round(redis_ms, 2),
        )
        return Look(overview, {reading.name: reading.version for reading in queues})

    def forget(self) -> None:
        """After an outage it may be another Redis."""
        self._health = self._totals = None

    async def health(self, queue: RedisQueue) -> Health:
        """What Redis is; asked again every 5 s."""
        if self._health is None or time.monotonic() - self._health[0] > _HEALTH_S:
            self._health = (time.monotonic(), await queue.health())
            self._concerns = concerns(self._health[1], time.time_ns() // 1_000_000)
        return self._health[1]

    async def _read_totals(self, queue: RedisQueue, fresh: bool) -> Stats:
        if fresh or self._totals is None or time.monotonic() - self._totals[0] > _TOTALS_S:
            self._totals = (time.monotonic(), await queue.read_stats())
        return self._totals[1]


async def queue_document(queue: RedisQueue, name: str) -> schemas.Queue:
    """One queue as `/queues` shows it."""
    reading, series, workers = await asyncio.gather(
        queue.read_queue(name), queue.read_series(SLOTS), queue.workers()
    )
    return documents.queue(reading, series, workers)


def _stats(situation: attention.Situation, series: Series, totals: Stats) -> schemas.Stats:
    queues, workers = situation.queues, attention.live(situation.workers)
    ages = [reading.oldest_s for reading in queues if reading.oldest_s is not None]
    wait = [sum(counts) for counts in zip(*(slot.wait for slot in _last_minute(series)), strict=True)]
    return schemas.Stats(
        queue_depth=sum(reading.queued for reading in queues),
        dlq_depth=sum(reading.dead for reading in queues),
        active_jobs=sum(reading.running for reading in queues),
        scheduled=sum(reading.scheduled for reading in queues),
        retrying=sum(reading.retrying for reading in queues),
        completed=sum(totals.completed.values()),
        failed=sum(totals.failed.values()),
        cancelled=sum(reading.cancelled for reading in queues),
        submitted=sum(totals.submitted.values()),
        oldest_s=max(ages, default=None),
        throughput=round(sum(series.recent("completed", WINDOW_S).values()), 2),
        failing=round(sum(series.recent("failed", WINDOW_S).values()), 2),
        workers=len(workers),
        slots=sum(worker.concurrency for worker in workers),
        wait_p50_s=quantile_s(wait, 0.50),
        wait_p99_s=quantile_s(wait, 0.99),
        attention=attention.findings(situation),
    )


def _last_minute(series: Series) -> list[SlotCounts]:
    return series.slots[-int(WINDOW_S / series.step_s) :]


def _worker_counts(workers: Sequence[WorkerReading]) -> schemas.WorkerCounts:
    alive = attention.live(workers)
    return schemas.WorkerCounts(
        count=len(alive),
        slots=sum(worker.concurrency for worker in alive),
        busy=sum(worker.claims for worker in alive),
        lost=len(workers) - len(alive),
        quiet=sum(worker.state in ("quiet", "stopping") for worker in alive),
    )
