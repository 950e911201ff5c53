from __future__ import annotations

import asyncio

import pytest

from ironforge.errors import IdempotencyConflict, InvalidTransition, JobNotFound
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Once
from tests.queue.state import ERROR, Lane, dead_job, dump, move_clock, structure
from tests.queue.stopped import Stopped


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


async def test_what_it_writes_to_the_millisecond(stopped: Stopped) -> None:
    fence = await stopped.run("a", rank=0, max_retries=5)
    await stopped.call("progress", "a", fence, "0.5")
    assert await stopped.settle("a", "dead", fence=fence, error_json=ERROR, reason="discarded") == "ok"
    await stopped.put("job:a", "HSET", "crashes", 2, "lapses", 3, "retry_count", 4, "run_at", 5)
    stopped.later(500)
    await stopped.woken()
    version = await stopped.version()
    assert await stopped.call("retry", "a", "1", "", "") == "done"
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["generation"]) == ("queued", "1")
    gone = (
        "retry_count",
        "crashes",
        "lapses",
        "finished_at",
        "reason",
        "fingerprint",
        "run_at",
        "progress",
        "started_at",
    )
    assert [name for name in gone if name in stored] == []
    assert await stopped.scores("q:mail:queued") == {"a": stopped.place(0)}
    assert await stopped.woken() and await stopped.version() == version + 1


async def test_without_the_reset_a_suspect_is_a_suspect_again(stopped: Stopped) -> None:
    for job_id in ("j0", "j1"):
        assert await stopped.settle(job_id, "dead", fence=await stopped.run(job_id)) == "ok"
    for job_id, crashes in (("j0", 1), ("j1", 2)):
        await stopped.put(f"job:{job_id}", "HSET", "crashes", crashes)
        assert await stopped.call("retry", job_id, "0", "", "") == "done"
    assert await stopped.scores("q:mail:queued") == {"j0": stopped.place() + 2}
    assert await stopped.scores("q:mail:suspects") == {"j1": stopped.place() + 3}
    assert (await stopped.hash("job:j1"))["crashes"] == "2"


async def test_a_cancelled_job_too(stopped: Stopped) -> None:
    await stopped.enqueue("a")
    await stopped.call("cancel", "a", "", "")
    assert await stopped.call("retry", "a", "1", "", "") == "done"
    assert await stopped.scores("q:mail:cancelled") == {}
    assert await stopped.scores("q:mail:queued") == {"a": stopped.place() + 1}


async def test_of_a_group_only_this_one_leaves(stopped: Stopped) -> None:
    for job_id in ("a", "b", "c"):
        assert await stopped.settle(job_id, "dead", fence=await stopped.run(job_id)) == "ok"
    assert await stopped.call("retry", "b", "1", "", "") == "done"
    assert await stopped.scores("dead:groups") == {"f": 2}
    assert list(await stopped.scores("dead:group:f")) == ["a", "c"]
    await stopped.call("delete", "b", "", "")
