"""Real workers and steady submission on some form of Redis while something is done to it, and what is in the books then."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from ironforge.errors import StoreUnavailable
from ironforge.job import LIVE, Job, JobStatus, NewJob
from ironforge.periodic import patiently
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import shard_tag
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.pacing import during
from tests.forms.failovers import Event
from tests.waiting import eventually

QUEUES = tuple(f"q{at}" for at in range(6))
TOGETHER = 4
_STEP = 500


@dataclass(slots=True)
class Outcome:
    """What was left at the end.

    Attributes:
        acknowledged: ids in the order in which Redis confirmed them, with the instant (`time.time()`).
        jobs: those of them that are still there.
        live: how many of these had not ended when time was up.
        findings: the auditor's, in words.
        worker_errors: errors of their own that workers showed.
    """

    acknowledged: dict[str, float] = field(default_factory=dict[str, float])
    jobs: list[Job] = field(default_factory=list[Job])
    live: int = 0
    findings: list[str] = field(default_factory=list[str])
    worker_errors: list[str] = field(default_factory=list[str])
    crossings: int = 0

    @property
    def lost(self) -> int:
        return len(self.acknowledged) - len(self.jobs)

    @property
    def not_completed(self) -> int:
        return sum(job.status is not JobStatus.COMPLETED for job in self.jobs)

    @property
    def ran_twice(self) -> int:
        return sum(len(job.attempts) > 1 for job in self.jobs)

    def lost_in(self, events: Sequence[Event]) -> int:
        """Those lost that were acknowledged during one of these, or in the second before it."""
        left = {job.id for job in self.jobs}
        return sum(
            job_id not in left and any(event.at - 1 <= at <= event.until for event in events)
            for job_id, at in self.acknowledged.items()
        )

    def first_completion_s(self, moment: float, queues: Collection[str] = QUEUES) -> float:
        """From an instant (`time.time()`) to the first completion after it, in these queues, that the books still know."""
        later = [
            job.finished_ms
            for job in self.jobs
            if job.finished_ms and job.finished_ms > moment * 1000 and job.queue in queues
        ]
        return min(later) / 1000 - moment if later else float("inf")

    def longest_pause_s(self, begin: float, end: float) -> float:
        """Between two completions that follow each other."""
        inside = sorted(
            job.finished_ms / 1000 for job in self.jobs if job.finished_ms and begin * 1000 <= job.finished_ms <= end * 1000
        )  # fmt: skip
        points = [begin, *inside, end]
        return max(after - before for before, after in pairwise(points))


class Trial:
    """One namespace on that Redis.

    Args:
        rate_per_s: jobs submitted; a refused batch is sent again as it is until it is confirmed.
        durability: as for `--durability`, of the one who submits and of the workers.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        rng: Random,
        *,
        rate_per_s: float = 60,
        durability: str = "local",
        shards: int = 1,
        groups: int = 2,
    ) -> None:
        self._url = url
        self._rng = rng
        self._folder = folder
        self._pause_s = TOGETHER / rate_per_s
        self._durability = durability
        self._shards = shards
        self._groups = groups
        self._outcome = Outcome()
        self._enough = asyncio.Event()

    @property
    def tags(self) -> list[str]:
        """The hash tags of its shards."""
        return [shard_tag(at, self._shards) for at in range(self._shards)]

    async def during(self, work: Coroutine[Any, Any, None], settle_s: float = 60) -> Outcome:
        """Submits while that goes on; then waits, at most `settle_s`, until every job that is left has ended."""
        ledger = Ledger(self._folder / "ledger")
        words = ("--processes", "1", "--concurrency", "4", "--queues", ",".join(QUEUES))
        fleet = Fleet(self._url, "trial", self._folder, ledger, words, IRONFORGE_DURABILITY=self._durability)
        try:
            async with RedisQueue(
                self._url, "trial", shards=self._shards, durability=self._durability
            ) as queue:
                for _ in range(self._groups):
                    fleet.start()
                submitting = asyncio.create_task(self._submit(queue))
                try:
                    await fleet.await_ready(self._groups)
                    await work
                finally:
                    self._enough.set()
                    await asyncio.wait_for(submitting, settle_s)
                await self._close_the_books(queue, settle_s)
        finally:
            left = fleet.close()
            assert not left, f"processes {left} did not end"
        self._outcome.worker_errors = fleet.errors()
        logs = self._folder.glob("worker-*.log")
        self._outcome.crossings = sum(log.read_text(errors="replace").count("CROSSSLOT") for log in logs)
        return self._outcome

    async def _submit(self, queue: RedisQueue) -> None:
        while not self._enough.is_set():
            payload = json.dumps({"s": round(self._rng.uniform(0.01, 0.08), 3)}).encode()
            batch = [NewJob("chaos.nap", payload, queue=self._rng.choice(QUEUES)) for _ in range(TOGETHER)]
            while True:
                try:
                    jobs = await queue.enqueue_many(batch)
                except StoreUnavailable:
                    await during(0.1)
                else:
                    break
            now = time.time()
            self._outcome.acknowledged.update((job.id, now) for job in jobs)
            await during(self._pause_s)

    async def _close_the_books(self, queue: RedisQueue, settle_s: float) -> None:
        async def ended() -> bool:
            self._outcome.jobs = await patiently(lambda: self._read(queue))
            self._outcome.live = sum(job.status in LIVE for job in self._outcome.jobs)
            return self._outcome.live == 0

        try:
            await eventually(ended, settle_s, "every job has ended")
        except AssertionError:
            pass  # `live` says how many had not
        async with asyncio.timeout(settle_s):
            found = await patiently(lambda: audit(queue))
        self._outcome.findings = [f"{one.rule}: {one.subject} {one.detail}" for one in found.findings]

    async def _read(self, queue: RedisQueue) -> list[Job]:
        ids = list(self._outcome.acknowledged)
        found: list[Job] = []
        for at in range(0, len(ids), _STEP):
            found += [job for job in await queue.get_many(ids[at : at + _STEP]) if job]
        return found
