from __future__ import annotations

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dump


async def test_shown_on_the_job_and_forgotten_at_the_next_claim(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await queue.progress(job.id, job.fence, "0.5")
    assert (await queue.get(job.id)).progress == 0.5
    await lane.settle(job, "released")
    await lane.claim()
    assert (await queue.get(job.id)).progress is None


async def test_refused_under_another_fence(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    before = await dump(queue)
    assert not await queue.progress(job.id, "9:other", "0.5")
    assert await dump(queue) == before
    await lane.settle(job, "completed")
    assert not await queue.progress(job.id, job.fence, "0.5")
