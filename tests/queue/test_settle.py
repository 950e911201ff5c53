from __future__ import annotations

import pytest

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Settlement
from tests.queue.state import ERROR, Lane, dead_job, dump, move_clock, structure


async def test_completed(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await lane.settle(job, "completed", result_json=b'"hi"') == "ok"
    stored = await queue.get(job.id)
    assert (stored.status, stored.result, stored.worker) == (JobStatus.COMPLETED, "hi", None)
    assert [(attempt.number, attempt.outcome, attempt.worker) for attempt in stored.attempts] == [
        (1, "completed", "w1")
    ]
    assert stored.started_ms == job.started_ms and stored.finished_ms is not None
    state = await structure(queue)
    assert state["q:default:completed"] == [job.id]
    assert "q:default:running" not in state and "worker:w1:claims" not in state


async def test_a_retry_waits_in_retrying_and_is_counted(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await lane.settle(job, "retry", error_json=ERROR, delay_ms=2000, fingerprint="f") == "ok"
    stored = await queue.get(job.id)
    assert (stored.status, stored.retry_count, stored.started_ms) == (JobStatus.RETRYING, 1, None)
    assert stored.last_error is not None and stored.last_error.type == "ValueError"
    assert stored.attempts[0].outcome == "failed" and stored.attempts[0].error == stored.last_error
    assert stored.run_at_ms == stored.attempts[0].finished_ms + 2000
    assert await lane.claim() == []
    await move_clock(queue, 2000)
    assert [claimed.id for claimed in await lane.claim()] == [job.id]


async def test_no_retry_beyond_max_retries_whatever_the_worker_says(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet", max_retries=1))
    for expected in (JobStatus.RETRYING, JobStatus.DEAD):
        (job,) = await lane.claim()
        assert await lane.settle(job, "retry", error_json=ERROR, delay_ms=1, fingerprint="f") == "ok"
        assert (await queue.get(job.id)).status is expected
        await move_clock(queue, 1000)


async def test_dead_jobs_are_grouped_by_fingerprint(queue: RedisQueue, lane: Lane) -> None:
    first = await dead_job(queue, lane, "f1")
    second = await dead_job(queue, lane, "f1")
    third = await dead_job(queue, lane, "f2")
    state = await structure(queue)
    assert state["dead:group:f1"] == [first.id, second.id] and state["dead:group:f2"] == [third.id]
    groups, cursor, total = await queue.dead_groups()
    assert [(group.fingerprint, group.count) for group in groups] == [("f1", 2), ("f2", 1)]
    assert (cursor, total) == (None, 2)
    assert groups[0].sample is not None and groups[0].sample.id == second.id


async def test_released_keeps_its_place_and_is_not_charged(queue: RedisQueue, lane: Lane) -> None:
    first, second = await queue.enqueue_many([NewJob("greet"), NewJob("greet")])
    (job,) = await lane.claim()
    assert await lane.settle(job, "released") == "ok"
    assert (await structure(queue))["q:default:queued"] == [first.id, second.id]
    stored = await queue.get(first.id)
    assert (stored.retry_count, stored.crashes, stored.lapses) == (0, 0, 0)
    assert stored.attempts[0].outcome == "released"


async def test_released_with_a_delay_waits_uncharged(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await lane.settle(job, "released", delay_ms=15_000) == "ok"
    stored = await queue.get(job.id)
    assert (stored.status, stored.retry_count) == (JobStatus.RETRYING, 0)


@pytest.mark.parametrize("outcome", ["completed", "retry", "dead", "cancelled", "released"])
async def test_a_settle_sent_again_changes_nothing(queue: RedisQueue, lane: Lane, outcome: str) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await lane.settle(job, outcome, error_json=ERROR, fingerprint="f", delay_ms=0) == "ok"
    before = await dump(queue)
    assert await lane.settle(job, outcome, error_json=ERROR, fingerprint="f", delay_ms=0) == "already"
    assert await dump(queue) == before


@pytest.mark.parametrize("outcome", ["completed", "retry", "dead", "cancelled", "released"])
async def test_a_stale_fence_changes_nothing(queue: RedisQueue, lane: Lane, outcome: str) -> None:
    """The zombie: its job was handed back and runs elsewhere."""
    await queue.enqueue(NewJob("greet"))
    (stale,) = await lane.claim()
    await queue.hand_back("w1", "crashed", {})
    other = await Lane(queue, "w2").register()
    (current,) = await other.claim()
    before = await dump(queue)
    assert await lane.settle(stale, outcome, error_json=ERROR, fingerprint="f") == "refused"
    after = await dump(queue)
    assert after["stats"].pop("refused") == "1"
    assert after == before
    assert await other.settle(current, "completed") == "ok"


async def test_a_late_settle_under_the_current_fence_counts(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    await move_clock(queue, 60_000)
    assert await lane.settle(job, "completed") == "ok"


async def test_only_the_last_ten_attempts_are_kept(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet", max_retries=100))
    for _ in range(13):
        (job,) = await lane.claim()
        assert await lane.settle(job, "retry", error_json=ERROR, delay_ms=0, fingerprint="f") == "ok"
    stored = await queue.get(job.id)
    assert [attempt.number for attempt in stored.attempts] == list(range(4, 14))
    fields = await queue.client.hkeys(queue.keys.job(stored.id))
    assert sum(field.startswith(b"attempt:") for field in fields) == 10
    assert stored.retry_count == 13


async def test_a_job_asked_to_cancel_does_not_come_back(queue: RedisQueue, lane: Lane) -> None:
    for outcome in ("retry", "released", "dead"):
        await queue.enqueue(NewJob("greet"))
        (job,) = await lane.claim()
        await queue.cancel(job.id)
        assert await lane.settle(job, outcome, error_json=ERROR, fingerprint="f") == "ok"
        assert (await queue.get(job.id)).status is JobStatus.CANCELLED
    assert (await lane.turn(1)).orders == []


async def test_statistics_agree_with_what_happened(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    jobs = await lane.claim(3)
    await move_clock(queue, 700)
    await lane.settle(jobs[0], "completed")
    await lane.settle(jobs[1], "retry", error_json=ERROR, delay_ms=60_000, fingerprint="f")
    await lane.settle(jobs[2], "dead", error_json=ERROR, fingerprint="f")
    stats = await queue.read_stats()
    assert stats.submitted == {("greet", "medium"): 3}
    assert (stats.completed, stats.failed, stats.dlq) == ({"greet": 1}, {"greet": 2}, {"greet": 1})
    assert stats.retried == {("greet", "1"): 1}
    assert stats.waits["greet"].count == 3
    completed, failed = stats.durations["greet", "completed"], stats.durations["greet", "failed"]
    assert (completed.count, failed.count) == (1, 2)
    assert 700 <= completed.sum_ms < 900 and completed.buckets[7] == 1


async def test_kinds_beyond_the_limit_count_as_other(queue: RedisQueue) -> None:
    await queue.enqueue_many([NewJob(f"kind{at}") for at in range(203)])
    submitted = (await queue.read_stats()).submitted
    assert len(submitted) == 201
    assert submitted["other", "medium"] == 3


async def test_a_batch_of_every_outcome_is_answered_in_its_own_order(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(6)])
    jobs = await lane.claim(6)
    batch = [
        Settlement(jobs[0].id, jobs[0].fence, "retry", None, ERROR, 1000, "f"),
        Settlement(jobs[1].id, jobs[1].fence, "completed", b"1"),
        Settlement(jobs[2].id, "1:other", "completed"),
        Settlement(jobs[3].id, jobs[3].fence, "dead", None, ERROR, 0, "f"),
        Settlement(jobs[4].id, jobs[4].fence, "completed"),
        Settlement(jobs[5].id, "1:other", "released"),
    ]
    assert (await lane.turn(0, *batch)).settled == ["ok", "ok", "refused", "ok", "ok", "refused"]
    assert (await lane.turn(0, *batch)).settled == [
        "already",
        "already",
        "refused",
        "already",
        "already",
        "refused",
    ]
    statuses = [(await queue.get(job.id)).status.value for job in jobs]
    assert statuses == ["retrying", "completed", "running", "dead", "completed", "running"]
    assert (await queue.get(jobs[1].id)).result == 1
