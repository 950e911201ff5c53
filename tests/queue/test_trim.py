from __future__ import annotations

import pytest

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dead_job, move_clock, structure
from tests.queue.stopped import Stopped

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


async def _ended(
    stopped: Stopped, job_id: str, outcome: str = "completed", queue: str = "mail", **fields: int
) -> None:
    assert await stopped.settle(job_id, outcome, fence=await stopped.run(job_id, queue, **fields)) == "ok"


async def test_a_retention_ends_at_its_millisecond(stopped: Stopped) -> None:
    await _ended(stopped, "a", retention_ms=1_000)
    await _ended(stopped, "b", "cancelled", retention_ms=1_000)
    version = await stopped.version()
    stopped.later(999)
    assert await stopped.call("trim", 100, 100, "mail") == 0
    assert await stopped.version() == version
    stopped.later(1)
    assert await stopped.call("trim", 100, 100, "mail") == 2
    assert await stopped.hash("job:a") == {} and await stopped.hash("job:b") == {}
    assert await stopped.version() == version + 1


@pytest.mark.parametrize(("keep", "kept"), [(3, 3), (2, 2), (1, 1), (0, 0)])
async def test_as_many_are_kept_as_asked_for(stopped: Stopped, keep: int, kept: int) -> None:
    for at in range(3):
        await _ended(stopped, f"j{at}")
        stopped.later(1)
    assert await stopped.call("trim", keep, 100, "other", "mail") == 3 - kept
    assert list(await stopped.scores("q:mail:completed")) == [f"j{at}" for at in range(3 - kept, 3)]


async def test_the_bound_holds_over_statuses_queues_and_excess(stopped: Stopped) -> None:
    for at in range(2):
        await _ended(stopped, f"a{at}", retention_ms=10)
        await _ended(stopped, f"b{at}", "cancelled", retention_ms=10)
        await _ended(stopped, f"c{at}")
        await _ended(stopped, f"d{at}", queue="bulk", retention_ms=10)
    stopped.later(10)
    removed = [await stopped.call("trim", 1, 3, "mail", "bulk") for _ in range(4)]
    assert removed == [3, 3, 1, 0]
    assert list(await stopped.scores("q:mail:completed")) == ["c1"]


async def test_what_is_removed_is_counted(queue: RedisQueue, stopped: Stopped) -> None:
    await _ended(stopped, "a", retention_ms=10)
    await _ended(stopped, "b", retention_ms=10)
    await stopped.enqueue("c")
    await stopped.put("q:mail:completed", "ZADD", 1, "c")
    stopped.later(10)
    assert await stopped.call("trim", 100, 100, "mail") == 3
    assert (await queue.read_stats()).others["removed"] == 2
    assert list(await stopped.scores("q:mail:queued")) == ["c"]


async def test_a_tick_goes_on_while_there_is_more(queue: RedisQueue, lane: Lane) -> None:
    for _ in range(7):
        await _completed(queue, lane)
    await move_clock(queue, DAY_MS + 1)
    assert await queue.trim(limit=2) == 7


async def test_the_limit_of_a_call_is_for_all_queues_together(queue: RedisQueue) -> None:
    mail = await Lane(queue, "w2", ("default", "mail")).register()
    await queue.enqueue_many([NewJob("greet", queue=name) for name in ("default", "default", "mail", "mail")])
    for job in await mail.claim(4):
        await mail.settle(job, "completed")
    cancelled = await queue.enqueue(NewJob("greet"))
    await queue.cancel(cancelled.id)
    await move_clock(queue, DAY_MS + 1)
    assert await queue.trim(limit=3, spend_s=0) == 3
    assert await queue.trim(keep=0, limit=3, spend_s=0) == 2


async def test_the_bound_is_not_taken_for_a_queue(stopped: Stopped) -> None:
    await _ended(stopped, "a", queue="100", retention_ms=10)
    stopped.later(10)
    assert await stopped.call("trim", 50, 100, "mail") == 0
