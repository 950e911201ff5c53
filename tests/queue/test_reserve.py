"""Idempotent submit: reserve.lua, enqueue.lua and confirm.lua together."""

from __future__ import annotations

import asyncio

import pytest

from ironforge.errors import IdempotencyConflict, JobRemoved
from ironforge.job import NewJob, new_job_id
from ironforge.queue.backend import RedisQueue
from tests.queue.state import structure
from tests.queue.stopped import Stopped


async def test_the_same_request_again_gives_the_same_job(queue: RedisQueue) -> None:
    job, created = await queue.submit(NewJob("greet"), "key", "hash")
    again, created_again = await queue.submit(NewJob("greet"), "key", "hash")
    assert (created, created_again) == (True, False)
    assert again == job


async def test_another_request_under_the_key_is_refused(queue: RedisQueue) -> None:
    await queue.submit(NewJob("greet"), "key", "hash")
    with pytest.raises(IdempotencyConflict):
        await queue.submit(NewJob("other"), "key", "other")
    assert len((await structure(queue))["q:default:queued"]) == 1


async def test_fifty_at_once_make_one_job(queue: RedisQueue) -> None:
    answers = await asyncio.gather(*(queue.submit(NewJob("greet"), "key", "hash") for _ in range(50)))
    assert len({job.id for job, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1


async def test_a_submitter_that_died_between_is_completed_by_the_next(queue: RedisQueue) -> None:
    job_id = new_job_id()
    assert (await queue.shards[0].call("reserve", "key", "hash", job_id))[0] == b"new"
    job, created = await queue.submit(NewJob("greet"), "key", "hash")
    assert (job.id, created) == (job_id, False)
    assert (await structure(queue))["q:default:queued"] == [job_id]


async def test_a_removed_job_is_not_made_again(queue: RedisQueue) -> None:
    job, _ = await queue.submit(NewJob("greet"), "key", "hash")
    await queue.delete(job.id)
    with pytest.raises(JobRemoved) as removed:
        await queue.submit(NewJob("greet"), "key", "hash")
    assert removed.value.job_id == job.id


async def test_the_window_is_a_day(queue: RedisQueue) -> None:
    await queue.submit(NewJob("greet"), "key", "hash")
    ttl = await queue.client.pttl(queue.keys.idempotency("key"))
    assert 86_390_000 < ttl <= 86_400_000


async def test_a_reservation_lasts_a_day_and_a_repeated_one_does_not_prolong_it(stopped: Stopped) -> None:
    assert await stopped.call("reserve", "key", "hash", "id-1") == ["new", "id-1"]
    assert 86_390_000 < await stopped.ttl_ms("idem:key") <= 86_400_000
    await stopped.put("idem:key", "PEXPIRE", 5_000)
    assert await stopped.call("reserve", "key", "hash", "id-2") == ["pending", "id-1"]
    assert await stopped.call("reserve", "key", "other", "id-2") == ["conflict", "id-1"]
    assert await stopped.ttl_ms("idem:key") <= 5_000
    assert await stopped.text("idem:key") == "pending|hash|id-1"


async def test_the_window_to_the_millisecond(stopped: Stopped) -> None:
    assert await stopped.lasts_ms("idem:key", "reserve", "key", "hash", "id") == 86_400_000
