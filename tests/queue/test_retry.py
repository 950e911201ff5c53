from __future__ import annotations

import asyncio

import pytest

from ironforge.errors import IdempotencyConflict, InvalidTransition, JobNotFound
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Once
from tests.queue.state import ERROR, Lane, dead_job, dump, move_clock, structure


async def _spent(queue: RedisQueue, lane: Lane) -> str:
    """A dead job that spent its one retry."""
    await queue.enqueue(NewJob("greet", max_retries=1))
    for outcome in ("retry", "dead"):
        (job,) = await lane.claim()
        await lane.settle(job, outcome, error_json=ERROR, delay_ms=0, fingerprint="f")
        await move_clock(queue, 10)
    return job.id


async def test_a_dead_job_is_queued_again_with_its_retries_reset(queue: RedisQueue, lane: Lane) -> None:
    job_id = await _spent(queue, lane)
    job = await queue.retry(job_id)
    assert (job.status, job.retry_count, job.generation, job.finished_ms) == (JobStatus.QUEUED, 0, 1, None)
    assert len(job.attempts) == 2, "what happened stays on record"
    state = await structure(queue)
    assert state["q:default:queued"] == [job_id]
    assert "dead:groups" not in state and "q:default:dead" not in state
    assert [claimed.id for claimed in await lane.claim()] == [job_id]


async def test_without_the_reset_the_next_failure_is_the_last(queue: RedisQueue, lane: Lane) -> None:
    job_id = await _spent(queue, lane)
    job = await queue.retry(job_id, reset_retry_count=False)
    assert job.retry_count == 1
    (claimed,) = await lane.claim()
    await lane.settle(claimed, "retry", error_json=ERROR, delay_ms=0, fingerprint="f")
    assert (await queue.get(job_id)).status is JobStatus.DEAD


async def test_of_two_retries_one_counts(queue: RedisQueue, lane: Lane) -> None:
    job = await dead_job(queue, lane)
    results = await asyncio.gather(*(queue.retry(job.id) for _ in range(8)), return_exceptions=True)
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert sum(isinstance(result, InvalidTransition) for result in results) == 7
    assert (await queue.get(job.id)).generation == 1


@pytest.mark.parametrize("status", ["queued", "scheduled", "running", "completed"])
async def test_only_dead_and_cancelled_jobs(queue: RedisQueue, lane: Lane, status: str) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=60_000 if status == "scheduled" else None))
    if status in ("running", "completed"):
        (claimed,) = await lane.claim()
        if status == "completed":
            await lane.settle(claimed, "completed")
    before = await dump(queue)
    with pytest.raises(InvalidTransition, match=status):
        await queue.retry(job.id)
    assert await dump(queue) == before


async def test_an_unknown_id(queue: RedisQueue) -> None:
    with pytest.raises(JobNotFound):
        await queue.retry("019ab1c2-0000-7000-8000-000000000000")


async def test_the_same_idempotency_key_answers_the_same_and_acts_once(queue: RedisQueue, lane: Lane) -> None:
    job = await dead_job(queue, lane)
    once = Once("key-1", "hash")
    assert (await queue.retry(job.id, once=once)).generation == 1
    (claimed,) = await lane.claim()
    await lane.settle(claimed, "dead", error_json=ERROR, fingerprint="f")
    assert (await queue.retry(job.id, once=once)).status is JobStatus.DEAD, "not retried a second time"
    with pytest.raises(IdempotencyConflict):
        await queue.retry(job.id, once=Once("key-1", "other"))


async def test_a_changed_payload_makes_a_new_job_and_keeps_the_old(queue: RedisQueue, lane: Lane) -> None:
    old = await dead_job(queue, lane, tags=("vip",), timeout_ms=5_000)
    new = await queue.retry_as_new(old.id, b'{"fixed":true}')
    assert (new.retry_of, new.payload, new.status) == (old.id, {"fixed": True}, JobStatus.QUEUED)
    assert (new.kind, new.tags, new.timeout_s, new.max_retries) == (old.kind, ["vip"], 5.0, 0)
    assert (await queue.get(old.id)).status is JobStatus.DEAD
