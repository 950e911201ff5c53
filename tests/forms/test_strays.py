"""Jobs that run on a worker by the books alone: released, but none that it knows, and none at the first look."""

from __future__ import annotations

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.worker.strays import Strays
from tests.queue.state import Lane, check_books


async def test_what_two_looks_in_a_row_do_not_know_is_released(queue: RedisQueue) -> None:
    lane = await Lane(queue).register()
    await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    known, stray, settled = await lane.claim(3)
    strays = Strays(queue, "w1", lambda job_id, _: job_id == known.id)
    await strays.look()
    assert [(await queue.get(job.id)).status for job in (known, stray)] == [JobStatus.RUNNING] * 2
    assert await lane.settle(settled, "completed") == "ok"
    await strays.look()
    jobs = [await queue.get(job.id) for job in (known, stray, settled)]
    assert [job.status for job in jobs] == [JobStatus.RUNNING, JobStatus.QUEUED, JobStatus.COMPLETED]
    assert jobs[1].retry_count == 0 and jobs[1].attempts[-1].outcome == "released"
    await check_books(queue)


async def test_a_job_that_was_claimed_anew_meanwhile_is_left_alone(queue: RedisQueue) -> None:
    lane = await Lane(queue).register()
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim(1)
    strays = Strays(queue, "w1", lambda *_: False)
    await strays.look()
    assert await lane.settle(job, "released") == "ok"
    (again,) = await lane.claim(1)
    assert again.id == job.id
    await strays.look()
    assert (await queue.get(job.id)).status is JobStatus.RUNNING
    await check_books(queue)
