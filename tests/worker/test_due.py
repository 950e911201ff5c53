"""A delayed job starts when it is due, on an idle worker, without waiting for anybody's tick."""

from __future__ import annotations

from ironforge import Forge
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.testing import running
from tests.waiting import eventually


async def test_it_starts_when_it_is_due(redis_url: str, queue: RedisQueue) -> None:
    async with Forge(redis_url, namespace=queue.namespace) as forge:

        @forge.task("note")
        async def note() -> None:  # pyright: ignore[reportUnusedFunction]
            pass

        # Nobody else promotes meanwhile: what makes it punctual is the worker itself.
        assert await queue.take_tick("promote", 60_000)
        async with running(forge):
            jobs = await queue.enqueue_many([NewJob("note", delay_ms=delay) for delay in (300, 900, 1700)])
            await queue.enqueue(NewJob("note"))

            async def all_completed() -> bool:
                found = await queue.get_many([job.id for job in jobs])
                return all(job and job.status is JobStatus.COMPLETED for job in found)

            await eventually(all_completed, 10)
        found = await queue.get_many([job.id for job in jobs])
        late_ms = [job.attempts[0].started_ms - (job.run_at_ms or 0) for job in found if job]
        assert all(0 <= late < 400 for late in late_ms), late_ms
