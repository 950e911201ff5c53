"""A kind that no worker here knows waits for a deploy, uncharged, and is dead only after an hour of that."""

from __future__ import annotations

import asyncio

from ironforge import Forge
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import WorkerInfo
from ironforge.worker.crew import Crew, CrewOptions
from tests.queue.state import check_books, move_clock
from tests.waiting import eventually

MINUTE_MS = 60_000


async def test_its_first_hour_costs_nothing(queue: RedisQueue, redis_url: str) -> None:
    forge = Forge(redis_url, namespace=queue.namespace)
    job = await queue.enqueue(NewJob("unknown", max_retries=0))
    # Its lease outlasts the hours by which the clock is moved.
    assert await queue.register("w", WorkerInfo("h", 1, 1, "", ("default",), 4), lease_ms=1_000 * MINUTE_MS)
    crew = Crew(queue, "w", forge.tasks, CrewOptions(concurrency=4))
    serving = asyncio.create_task(crew.serve())
    released = 0
    try:
        while True:

            async def seen(released: int = released) -> JobStatus | None:
                found = await queue.get(job.id)
                times = int(found.fence.partition(":")[0] or 0)
                settled = found.status in (JobStatus.RETRYING, JobStatus.DEAD)
                return found.status if settled and times > released else None

            if await eventually(seen, 10, "it was looked at again") is JobStatus.DEAD:
                break
            found = await queue.get(job.id)
            assert (found.retry_count, found.crashes, found.lapses) == (0, 0, 0)
            assert found.attempts[-1].outcome == "released" and found.attempts[-1].error
            assert found.attempts[-1].error.type == "UnknownKind"
            waits_s = ((found.run_at_ms or 0) - found.attempts[-1].finished_ms) / 1000
            assert waits_s == min(420, 15 * 2**released)
            released += 1
            await move_clock(queue, 13 * MINUTE_MS)
            await queue.run_now(job.id)
    finally:
        crew.stop()
        await serving
    dead = await queue.get(job.id)
    assert released == 5, "0, 13, 26, 39 and 52 minutes after it was first seen"
    assert (dead.reason, dead.retry_count) == ("unknown_kind", 0)
    await check_books(queue)
