from __future__ import annotations

import pytest

from ironforge.job import JobStatus, NewJob, Priority
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, move_clock, structure
from tests.queue.stopped import Stopped


async def test_what_is_due_is_queued_in_order_of_due_time_within_its_priority(queue: RedisQueue) -> None:
    late = await queue.enqueue(NewJob("greet", delay_ms=3_000))
    early = await queue.enqueue(NewJob("greet", delay_ms=1_000))
    urgent = await queue.enqueue(NewJob("greet", delay_ms=2_000, priority=Priority.HIGH))
    never = await queue.enqueue(NewJob("greet", delay_ms=60_000))
    await move_clock(queue, 5_000)
    assert await queue.promote_due() == 3
    state = await structure(queue)
    assert state["q:default:queued"] == [urgent.id, early.id, late.id]
    assert state["q:default:scheduled"] == [never.id]
    assert (await queue.get(early.id)).status is JobStatus.QUEUED
    assert await queue.wait_for_wake(["default"], 0.5) == "default"
    assert await queue.promote_due() == 0


async def test_a_promoted_job_does_not_overtake_what_was_queued_meanwhile(
    queue: RedisQueue, lane: Lane
) -> None:
    delayed = await queue.enqueue(NewJob("greet", delay_ms=1_000))
    queued = await queue.enqueue(NewJob("greet"))
    await move_clock(queue, 2_000)
    assert [job.id for job in await lane.claim(2)] == [queued.id, delayed.id]


async def test_bounded(queue: RedisQueue) -> None:
    await queue.enqueue_many([NewJob("greet", delay_ms=1_000) for _ in range(5)])
    await move_clock(queue, 2_000)
    assert await queue.promote_due(limit=3) == 3
    assert await queue.promote_due(limit=3) == 2


async def test_a_stray_leaves_the_index(queue: RedisQueue) -> None:
    await queue.client.zadd(queue.keys.index("default", "scheduled"), {"ghost": 1})
    await queue.promote_due()
    assert "q:default:scheduled" not in await structure(queue)


async def test_what_promotion_writes_to_the_millisecond(stopped: Stopped) -> None:
    due = stopped.now_ms + 1_000
    await stopped.enqueue("a", when="at", ms=due, rank=1)
    await stopped.enqueue("later", when="at", ms=due + 1)
    await stopped.woken()
    stopped.later(1_000)
    version = await stopped.version()
    assert await stopped.call("promote", 10, "mail", "other") == 1
    assert await stopped.scores("q:mail:queued") == {"a": stopped.place(1, due * 1000)}
    assert await stopped.scores("q:mail:scheduled") == {"later": due + 1}
    assert (await stopped.hash("job:a"))["status"] == "queued"
    assert await stopped.woken() and await stopped.version() == version + 1


async def test_nothing_is_promoted_before_its_time(stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=1_000)
    stopped.later(999)
    assert await stopped.call("promote", 10, "mail") == 0
    stopped.later(1)
    assert await stopped.call("promote", 10, "mail") == 1


async def test_a_suspect_that_waited_is_a_suspect_again(stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=10)
    await stopped.put("job:a", "HSET", "crashes", 2)
    await stopped.enqueue("b", when="in", ms=10)
    await stopped.put("job:b", "HSET", "crashes", 1)
    stopped.later(10)
    assert await stopped.call("promote", 10, "mail") == 2
    assert list(await stopped.scores("q:mail:suspects")) == ["a"]
    assert list(await stopped.scores("q:mail:queued")) == ["b"]


async def test_a_stray_of_another_status_leaves_the_index_and_stays_what_it_is(stopped: Stopped) -> None:
    await stopped.enqueue("a")
    await stopped.put("q:mail:retrying", "ZADD", 1, "a")
    assert await stopped.call("promote", 10, "mail") == 1
    assert await stopped.scores("q:mail:retrying") == {}
    assert await stopped.scores("q:mail:queued") == {"a": stopped.place()}


@pytest.mark.parametrize(("scheduled", "retrying", "told"), [(300, 200, 200), (200, 300, 200)])
async def test_the_next_due_time_is_the_first_of_both_lists(
    stopped: Stopped, scheduled: int, retrying: int, told: int
) -> None:
    for at in range(2):
        job_id = f"r{at}"
        assert (
            await stopped.settle(job_id, "retry", fence=await stopped.run(job_id), delay_ms=retrying + at)
            == "ok"
        )
        await stopped.enqueue(f"s{at}", when="in", ms=scheduled + at)
    await stopped.register()
    assert (await stopped.claim())[2] == told


async def test_a_job_of_the_usual_priority_is_promoted_to_it(stopped: Stopped) -> None:
    due = stopped.now_ms + 10
    await stopped.enqueue("a", when="in", ms=10)
    stopped.later(20)
    await stopped.call("promote", 10, "mail")
    assert await stopped.scores("q:mail:queued") == {"a": stopped.place(2, due * 1000)}


async def test_the_bound_is_not_taken_for_a_queue(stopped: Stopped) -> None:
    await stopped.enqueue("a", "10", when="in", ms=10)
    stopped.later(10)
    assert await stopped.call("promote", 10, "mail") == 0
