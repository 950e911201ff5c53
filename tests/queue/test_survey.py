from __future__ import annotations

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.maintaining import COMPLETED_KEPT, OUTAGE_MS
from ironforge.queue.working import LEASE_MS
from tests.queue.state import Lane, dump, move_clock
from tests.queue.stopped import Stopped


async def test_nothing_to_do(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet"), NewJob("greet", delay_ms=60_000)])
    await lane.claim()
    assert await queue.survey(0) == set()


async def test_what_is_due_is_to_be_promoted_and_what_is_over_to_be_trimmed(
    queue: RedisQueue, lane: Lane
) -> None:
    await queue.enqueue(NewJob("greet", queue="other", delay_ms=1_000))
    await queue.enqueue(NewJob("greet", retention_ms=2_000))
    (job,) = await lane.claim()
    await lane.settle(job, "completed")
    await move_clock(queue, 900)
    assert await queue.survey(0) == set()
    await move_clock(queue, 200)
    assert await queue.survey(0) == {"promote"}
    await queue.promote_due()
    await move_clock(queue, 2_000)
    assert await queue.survey(0) == {"trim"}
    assert await queue.trim() == 1
    assert await queue.survey(0) == set()


async def test_retrying_and_cancelled_count_too(queue: RedisQueue, lane: Lane) -> None:
    first, second = await queue.enqueue_many([NewJob("greet"), NewJob("greet", retention_ms=500)])
    (job,) = await lane.claim()
    await lane.settle(job, "retry", error_json="{}", delay_ms=1_000, fingerprint="f")
    await queue.cancel(second.id)
    await move_clock(queue, 600)
    assert await queue.survey(0) == {"trim"}
    await move_clock(queue, 600)
    assert await queue.survey(0) == {"trim", "promote"}
    assert (await queue.get(first.id)).status == "retrying"


async def test_too_many_completed(queue: RedisQueue) -> None:
    shard = queue.shards[0]
    await queue.enqueue(NewJob("greet"))
    crowd = {f"j{at}": 9e15 for at in range(COMPLETED_KEPT)}
    await queue.client.zadd(shard.keys.index("default", "completed"), crowd)  # type: ignore[attr-defined]
    assert await queue.survey(0) == set()
    await queue.client.zadd(shard.keys.index("default", "completed"), {"one more": 9e15})  # type: ignore[attr-defined]
    assert await queue.survey(0) == {"trim"}
    await queue.client.delete(shard.keys.index("default", "completed"))  # type: ignore[attr-defined]


async def test_a_lost_worker_is_to_be_reaped_but_not_in_a_rush_after_an_outage(
    queue: RedisQueue, lane: Lane
) -> None:
    for _ in range(LEASE_MS // 3_000):
        assert await queue.survey(0) == set()
        await move_clock(queue, 3_000)
    await move_clock(queue, 100)
    assert await queue.survey(0) == {"reap"}
    await move_clock(queue, OUTAGE_MS + 1)
    assert await queue.survey(0) == set(), "first a whole lease for everybody"
    assert await queue.reap() == []
    for _ in range(LEASE_MS // 3_000):
        await move_clock(queue, 3_000)
        found = await queue.survey(0)
    assert found == {"reap"}
    assert await queue.reap() == ["w1"]


async def test_one_caller_is_answered(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet", delay_ms=100))
    await move_clock(queue, 200)
    assert await queue.survey(1_000) == {"promote"}
    before = await dump(queue)
    assert await queue.survey(1_000) == set()
    assert await dump(queue) == before
    await move_clock(queue, 1_000)
    assert await queue.survey(1_000) == {"promote"}
    await move_clock(queue, -3_600_000)
    await queue.survey(1_000)  # a clock that ran back keeps nobody from looking
    assert await queue.survey(1_000) == set()
    await move_clock(queue, 1_001)
    await queue.enqueue(NewJob("greet", delay_ms=1))
    await move_clock(queue, 2)
    assert await queue.survey(1_000) == {"promote"}


_LEASE_MS, _OUTAGE_MS = 15_000, 5_000


async def _survey(stopped: Stopped, one_within_ms: int = 0) -> list[str]:
    return await stopped.call("survey", _LEASE_MS, _OUTAGE_MS, 10, one_within_ms)


async def test_of_two_callers_at_one_moment_one_is_answered(stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=1)
    stopped.later(1)
    assert [await _survey(stopped, 1_000) for _ in range(2)] == [["promote"], []]
    stopped.later(999)
    assert await _survey(stopped, 1_000) == []
    stopped.later(1)
    assert await _survey(stopped, 1_000) == ["promote"]


async def test_a_job_is_due_at_its_millisecond(stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=1_000)
    stopped.later(999)
    assert await _survey(stopped) == []
    stopped.later(1)
    assert await _survey(stopped) == ["promote"]


async def test_a_lease_is_over_at_its_millisecond_and_a_live_one_is_not(stopped: Stopped) -> None:
    await stopped.register("w", 1)
    await _survey(stopped)
    for ms in (5_000, 5_000, 4_999):
        stopped.later(ms)
        assert await _survey(stopped) == [], "a whole lease after the first look"
    stopped.later(1)
    assert await _survey(stopped) == ["reap"]
    await stopped.call("renew", 1_000, "w")
    assert await _survey(stopped) == []
    stopped.later(1_000)
    assert await _survey(stopped) == ["reap"]


async def test_one_queue_of_several_is_enough(stopped: Stopped) -> None:
    """In whatever order the queues come."""
    for queue in ("a", "b", "c"):
        await stopped.enqueue(f"{queue}0", queue)
    for queue in ("a", "b", "c"):
        await stopped.enqueue(f"{queue}1", queue, when="in", ms=10)
        await stopped.call("cancel", f"{queue}0", "", "")
        await stopped.put(f"q:{queue}:cancelled", "ZADD", stopped.now_ms + 10, f"{queue}0")
        stopped.later(10)
        assert await _survey(stopped) == ["promote", "trim"]
        await stopped.call("promote", 10, queue)
        await stopped.call("trim", 10, 10, queue)
        assert await _survey(stopped) == []
