from __future__ import annotations

import pytest

from ironforge.errors import JobNotFound, JobRunning
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Once
from tests.queue.state import Lane, dead_job, dump, structure


@pytest.mark.parametrize("delay_ms", [None, 60_000])
async def test_a_waiting_job_leaves_nothing(queue: RedisQueue, delay_ms: int | None) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=delay_ms))
    await queue.delete(job.id)
    state = await structure(queue)
    state.pop("q:default:wake", None)
    assert state == {"queues": {"default"}}
    with pytest.raises(JobNotFound):
        await queue.get(job.id)


async def test_a_dead_job_leaves_its_group_too(queue: RedisQueue, lane: Lane) -> None:
    job = await dead_job(queue, lane)
    await queue.delete(job.id)
    assert not [name for name in await structure(queue) if name.startswith("dead") or name.endswith(":dead")]


async def test_a_running_job_is_not_deleted(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    before = await dump(queue)
    with pytest.raises(JobRunning):
        await queue.delete(job.id)
    assert await dump(queue) == before


async def test_sent_again_under_its_key_it_answers_the_same(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    once = Once("key", "hash")
    await queue.delete(job.id, once=once)
    await queue.delete(job.id, once=once)
    with pytest.raises(JobNotFound):
        await queue.delete(job.id)
