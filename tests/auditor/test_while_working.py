"""The auditor and its repairs on a live namespace: no false alarm, and jobs damaged while workers run complete all the same."""

from __future__ import annotations

import asyncio
import random

from ironforge.job import NewJob
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.repair import repair
from tests.queue.state import ERROR, Lane, check_books, move_clock
from tests.waiting import eventually

JOBS = 400


class _Traffic:
    """Workers that claim, complete, fail, release and cancel, until they are stopped."""

    def __init__(self, queue: RedisQueue, rng: random.Random, wids: str = "abc") -> None:
        self.queue, self.rng, self.wids = queue, rng, wids
        self.stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> _Traffic:
        self._tasks = [asyncio.create_task(self._work(wid)) for wid in self.wids]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        await asyncio.gather(*self._tasks)

    async def _work(self, wid: str) -> None:
        lane = await Lane(self.queue, wid, ("default", "mail")).register(600_000)
        while not self.stop.is_set():
            for job in await lane.claim(self.rng.randrange(1, 20)):
                match self.rng.randrange(8):
                    case 0:
                        await lane.settle(job, "retry", error_json=ERROR, delay_ms=1, fingerprint="f")
                    case 1:
                        await lane.settle(job, "released")
                    case 2 if self.rng.random() < 0.3:
                        await self.queue.cancel(job.id)
                        await lane.settle(job, "cancelled")
                    case _:
                        await lane.settle(job, "completed")
            await self.queue.promote_due()
            await asyncio.sleep(0)


async def _submit(queue: RedisQueue, rng: random.Random) -> list[str]:
    news = [
        NewJob("greet", queue=rng.choice(("default", "mail")), delay_ms=rng.choice((None, 1)), max_retries=99)
        for _ in range(JOBS)
    ]
    return [job.id for job in await queue.enqueue_many(news)]


async def test_a_busy_system_is_no_false_alarm(queue: RedisQueue) -> None:
    rng = random.Random(7)
    findings: list[object] = []
    async with _Traffic(queue, rng):
        for _ in range(3):
            await _submit(queue, rng)
            findings += (await audit(queue)).findings
            findings += [one async for one in repair(queue)]
    assert findings == []
    await check_books(queue)


async def test_what_is_damaged_while_workers_run_is_repaired_while_they_run(queue: RedisQueue) -> None:
    rng = random.Random(8)
    ids = await _submit(queue, rng)
    keys = queue.keys
    repaired = 0
    async with _Traffic(queue, rng):
        for at in range(60):
            victim, where = rng.choice(ids), rng.choice(("default", "mail"))
            part = rng.choice(("queued", "running", "scheduled", "retrying"))
            match at % 3:
                case 0:
                    await queue.client.zrem(keys.index(where, part), victim)
                case 1:
                    await queue.client.srem(keys.claims(rng.choice("abc")), victim)
                case _:
                    await queue.client.zadd(keys.index(where, part), {victim: rng.random() * 2**53})
            if at % 10 == 9:
                repaired += len([one async for one in repair(queue) if one.done])
    await move_clock(queue, 1_000)
    for _ in range(3):
        repaired += len([one async for one in repair(queue) if one.done])
    async with _Traffic(queue, rng, wids="d"):

        async def ended() -> bool:
            readings = await queue.read_queues()
            return sum(one.completed + one.cancelled for one in readings) == JOBS

        await eventually(ended, 30, "all jobs ended")
    assert repaired > 0
    assert (await audit(queue)).findings == []
    await check_books(queue)
