"""Jobs and keys that another hand wrote: they are read as far as they can be, and hide nothing else."""

from __future__ import annotations

import pytest
from redis.exceptions import ResponseError

from ironforge.job import Job, JobStatus, NewJob, Priority
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter
from ironforge.queue.stepping import ask, members
from tests.queue.state import Lane


async def _write(queue: RedisQueue, job: Job, **fields: str) -> None:
    shard = await queue.of_job(job.id)
    flat = [word for pair in fields.items() for word in pair]
    await shard.client.execute_command("HSET", shard.keys.job(job.id), *flat)


async def test_a_field_that_is_no_number_reads_as_if_it_were_not_there(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet", priority=Priority.HIGH))
    await _write(queue, job, priority="first", max_retries="many", crashes="")
    found = await queue.get(job.id)
    assert (found.kind, found.status) == ("greet", JobStatus.QUEUED)
    assert (found.priority, found.max_retries, found.crashes) == (Priority.MEDIUM, 3, 0)


@pytest.mark.parametrize("stored", ['["mail"', "7", '{"mail": 1}'])
async def test_tags_that_are_no_list_are_none(queue: RedisQueue, stored: str) -> None:
    job = await queue.enqueue(NewJob("greet", tags=("mail",)))
    await _write(queue, job, tags=stored)
    assert (await queue.get(job.id)).tags == []


async def test_what_a_worker_told_of_itself_and_is_no_json_is_left_out(queue: RedisQueue, lane: Lane) -> None:
    await queue.beat(lane.wid, {"kinds": '{"greet": ', "blocked": "[1]", "last_crash": "{"})
    (worker,) = await queue.workers()
    assert (worker.id, worker.kinds, worker.blocked, worker.last_crash) == ("w1", [], None, None)
    assert await queue.tasks() == []


async def test_a_search_passes_payloads_that_are_no_json(queue: RedisQueue) -> None:
    """A payload with an escape is also searched as it reads; one that is no JSON reads as nothing."""
    good = await queue.enqueue(NewJob("greet", rb'{"to": "J\u00fcrgen"}'))
    bad = await queue.enqueue(NewJob("greet"))
    await _write(queue, bad, payload='{"to": "\\u')
    listed = await queue.list_jobs(JobFilter(status=JobStatus.QUEUED, q="jürgen"), None, 10)
    assert [job.id for job in listed.jobs] == [good.id]


async def test_a_key_of_another_type_is_nothing_and_any_other_mistake_is_told(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    shard = await queue.of_job(job.id)
    key = shard.keys.job(job.id)
    assert await ask(shard, "ZCARD", key) is None
    assert [name async for name in members(shard, "ZSCAN", key)] == []
    with pytest.raises(ResponseError, match="wrong number of arguments"):
        await ask(shard, "ZCARD")
