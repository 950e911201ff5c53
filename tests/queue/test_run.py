from __future__ import annotations

import pytest

from ironforge.errors import InvalidTransition
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, dump, structure


async def test_a_scheduled_job_runs_now(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=60_000))
    assert (await queue.run_now(job.id)).status is JobStatus.QUEUED
    assert await queue.wait_for_wake(["default"], 0.5) == "default"
    assert [claimed.id for claimed in await lane.claim()] == [job.id]


async def test_a_retrying_job_runs_now_and_keeps_its_count(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    await lane.settle(job, "retry", error_json=ERROR, delay_ms=60_000, fingerprint="f")
    assert (await queue.run_now(job.id)).retry_count == 1
    assert "q:default:retrying" not in await structure(queue)


async def test_a_queued_job_cannot_be_run_sooner(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    before = await dump(queue)
    with pytest.raises(InvalidTransition, match="queued"):
        await queue.run_now(job.id)
    assert await dump(queue) == before
