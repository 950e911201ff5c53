from __future__ import annotations

import pytest

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, structure


async def test_a_crash_hands_the_jobs_back_to_their_places(queue: RedisQueue, lane: Lane) -> None:
    jobs = await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    await lane.claim(2)
    assert await queue.hand_back("w1", "crashed", {"signal": "SIGKILL", "rss_bytes": 1234}) == 2
    state = await structure(queue)
    assert state["q:default:queued"] == [job.id for job in jobs]
    assert not [name for name in state if name.startswith("worker")]
    stored = await queue.get(jobs[0].id)
    assert (stored.crashes, stored.lapses, stored.retry_count) == (1, 0, 0)
    assert stored.attempts[0].outcome == "crashed"
    assert stored.last_error is not None and "SIGKILL" in stored.last_error.message
    assert await queue.wait_for_wake(["default"], 0.5) == "default"


async def test_a_second_hand_back_does_nothing(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await lane.claim()
    assert await queue.hand_back("w1", "crashed", {}) == 1
    assert await queue.hand_back("w1", "crashed", {}) == -1
    assert (await queue.get(job.id)).crashes == 1


async def test_a_worker_ended_by_its_supervisor_charges_nobody(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await lane.claim()
    await queue.hand_back("w1", "ended", {"why": "shutdown"})
    stored = await queue.get(job.id)
    assert (stored.status, stored.crashes, stored.lapses, stored.retry_count) == (JobStatus.QUEUED, 0, 0, 0)


async def test_a_poison_pill_dies_at_its_third_crash_and_not_before(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    for crashes, status in ((1, JobStatus.QUEUED), (2, JobStatus.QUEUED), (3, JobStatus.DEAD)):
        lane = await Lane(queue, f"w{crashes}").register()
        assert [claimed.id for claimed in await lane.claim(5)] == [job.id]
        await queue.hand_back(lane.wid, "crashed", {"signal": "SIGSEGV"})
        stored = await queue.get(job.id)
        assert (stored.crashes, stored.status) == (crashes, status)
        assert stored.suspect is (crashes == 2)
    assert stored.reason == "worker_lost"
    groups, _, _ = await queue.dead_groups()
    assert [group.count for group in groups] == [1]


@pytest.mark.parametrize("cause", ["crashed", "ended"])
async def test_a_job_that_was_asked_to_cancel_is_cancelled(queue: RedisQueue, lane: Lane, cause: str) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await lane.claim()
    await queue.cancel(job.id)
    await queue.hand_back("w1", cause, {})  # type: ignore[arg-type]
    assert (await queue.get(job.id)).status is JobStatus.CANCELLED
