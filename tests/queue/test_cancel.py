from __future__ import annotations

import pytest

from ironforge.errors import InvalidTransition, JobNotFound
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, structure


@pytest.mark.parametrize("delay_ms", [None, 60_000])
async def test_a_waiting_job_is_cancelled_at_once(queue: RedisQueue, delay_ms: int | None) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=delay_ms))
    cancelled, how = await queue.cancel(job.id)
    assert (cancelled.status, how) == (JobStatus.CANCELLED, "cancelled")
    state = await structure(queue)
    assert state["q:default:cancelled"] == [job.id]
    assert "q:default:queued" not in state and "q:default:scheduled" not in state


async def test_the_worker_of_a_running_job_is_asked(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    asked, how = await queue.cancel(job.id)
    assert (asked.status, asked.cancel_requested, how) == (JobStatus.RUNNING, True, "requested")
    for _ in range(2):  # an order stays until it was obeyed: a lost reply loses nothing
        assert (await queue.beat("w1", {})).orders == [f"cancel:{job.id}"]
    assert await lane.settle(job, "cancelled") == "ok"
    assert (await queue.beat("w1", {})).orders == []
    assert (await queue.get(job.id)).status is JobStatus.CANCELLED


async def test_a_job_that_finished_first_stays_completed(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    await queue.cancel(job.id)
    assert await lane.settle(job, "completed") == "ok"
    with pytest.raises(InvalidTransition, match="completed"):
        await queue.cancel(job.id)
    assert (await queue.beat("w1", {})).orders == []


async def test_a_cancelled_suspect_leaves_the_suspects(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    for wid in ("c1", "c2"):
        await (await Lane(queue, wid).register()).claim()
        await queue.hand_back(wid, "crashed", {})
    assert "q:default:suspects" in await structure(queue)
    await queue.cancel(job.id)
    assert "q:default:suspects" not in await structure(queue)


async def test_an_unknown_id(queue: RedisQueue) -> None:
    with pytest.raises(JobNotFound):
        await queue.cancel("019ab1c2-0000-7000-8000-000000000000")
