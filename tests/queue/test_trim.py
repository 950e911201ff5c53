from __future__ import annotations

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dead_job, move_clock, structure

DAY_MS = 86_400_000


async def _completed(queue: RedisQueue, lane: Lane, **new: int) -> str:
    await queue.enqueue(NewJob("greet", **new))  # type: ignore[arg-type]
    (job,) = await lane.claim()
    await lane.settle(job, "completed")
    return job.id


async def test_completed_and_cancelled_go_after_a_day_and_the_dead_stay(
    queue: RedisQueue, lane: Lane
) -> None:
    await _completed(queue, lane)
    cancelled = await queue.enqueue(NewJob("greet"))
    await queue.cancel(cancelled.id)
    dead = await dead_job(queue, lane)
    await move_clock(queue, DAY_MS - 5_000)
    assert await queue.trim() == 0
    await move_clock(queue, 6_000)
    assert await queue.trim() == 2
    state = await structure(queue)
    assert state["q:default:dead"] == [dead.id]
    assert "q:default:completed" not in state and "q:default:cancelled" not in state
    assert len([1 async for _ in queue.client.scan_iter(queue.keys.job("*"))]) == 1


async def test_a_retention_of_its_own(queue: RedisQueue, lane: Lane) -> None:
    brief = await _completed(queue, lane, retention_ms=1_000)
    kept = await _completed(queue, lane)
    await move_clock(queue, 2_000)
    assert await queue.trim() == 1
    assert (await structure(queue))["q:default:completed"] == [kept]
    assert brief != kept


async def test_beyond_the_number_kept_those_soonest_over_go_first(queue: RedisQueue, lane: Lane) -> None:
    ids: list[str] = []
    for _ in range(5):
        ids.append(await _completed(queue, lane))
        await move_clock(queue, 10)
    assert await queue.trim(keep=2) == 3
    assert (await structure(queue))["q:default:completed"] == ids[3:]


async def test_bounded(queue: RedisQueue, lane: Lane) -> None:
    for _ in range(4):
        await _completed(queue, lane)
    await move_clock(queue, DAY_MS + 1)
    assert await queue.trim(limit=3, spend_s=0) == 3


async def test_a_stray_entry_goes_and_its_job_stays(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await queue.client.zadd(queue.keys.index("default", "completed"), {job.id: 1})
    assert await queue.trim() == 1
    assert (await queue.get(job.id)).id == job.id
    assert "q:default:completed" not in await structure(queue)
