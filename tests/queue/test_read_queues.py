from __future__ import annotations

import pytest

from ironforge.job import NewJob, Priority
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, dead_job, dump, move_clock
from tests.queue.stopped import Stopped


async def test_default_is_always_there(queue: RedisQueue) -> None:
    (reading,) = await queue.read_queues()
    assert (reading.name, reading.queued, reading.oldest_s, reading.paused_ms) == ("default", 0, None, None)


async def test_counts_and_the_longest_wait_over_all_priorities(queue: RedisQueue, lane: Lane) -> None:
    await dead_job(queue, lane)
    await queue.enqueue(NewJob("greet", priority=Priority.LOW))
    await move_clock(queue, 30_000)
    await queue.enqueue_many([NewJob("greet", priority=Priority.CRITICAL) for _ in range(3)])
    await queue.enqueue(NewJob("greet", delay_ms=60_000))
    (job,) = await lane.claim(1)
    before = await dump(queue)
    (reading,) = await queue.read_queues()
    assert await dump(queue) == before
    assert (reading.queued, reading.running, reading.scheduled, reading.dead) == (3, 1, 1, 1)
    assert reading.oldest_s is not None and 30 <= reading.oldest_s < 32
    version = reading.version
    await lane.settle(job, "retry", error_json=ERROR, delay_ms=60_000, fingerprint="f")
    (reading,) = await queue.read_queues()
    assert (reading.running, reading.retrying) == (0, 1)
    assert reading.version > version, "its lists changed"


async def test_rates_come_from_the_last_slots(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(4)])
    for job in await lane.claim(4):
        await lane.settle(job, "completed")
    series = await queue.read_series()
    assert len(series.slots) == 30
    assert sum(slot.completed.get("default", 0) for slot in series.slots) == 4
    assert sum(sum(slot.wait) for slot in series.slots) == 4
    rates = series.recent("completed")
    assert 4 / 71 <= rates["default"] <= 4


async def test_one_of_each(stopped: Stopped) -> None:
    assert await stopped.call("read_queues", "mail") == [stopped.now_ms, ["", 0, 0, 0, 0, 0, 0, 0, 0, 0, ""]]
    outcomes = ("completed", "completed", "dead", "cancelled", "cancelled", "cancelled", "retry")
    for at, outcome in enumerate(outcomes):
        assert (
            await stopped.settle(f"j{at}", outcome, fence=await stopped.run(f"j{at}"), delay_ms=9_000) == "ok"
        )
    await stopped.run("running")
    for at in range(2):
        await stopped.enqueue(f"scheduled{at}", when="in", ms=60_000)
    await stopped.put("q:mail:suspects", "ZADD", stopped.place(), "s")
    since = stopped.now_ms
    await stopped.enqueue("queued")
    await stopped.call("pause", "mail", "pause", "", "")
    changes = await stopped.version()
    stopped.later(5)
    now, reading, other = await stopped.call("read_queues", "mail", "other")
    assert now == stopped.now_ms
    assert reading == [str(since), changes, 1, 1, 2, 1, 1, 2, 1, 3, since]
    assert other == ["", 0, 0, 0, 0, 0, 0, 0, 0, 0, ""]
    await stopped.put("q:mail:suspects", "DEL")


@pytest.mark.parametrize("oldest", range(4))
async def test_the_longest_wait_may_be_in_any_priority(stopped: Stopped, oldest: int) -> None:
    began = stopped.now_ms
    await stopped.enqueue(f"first{oldest}", rank=oldest)
    stopped.later(1_000)
    for rank in range(4):
        await stopped.enqueue(f"j{rank}", rank=rank)
    assert (await stopped.call("read_queues", "mail"))[1][-1] == began


async def test_what_waits_in_one_priority_is_not_taken_for_another(stopped: Stopped) -> None:
    """The score of a job of the next priority, read as if it were of this one, would be seventy years away."""
    for rank in range(4):
        await stopped.enqueue(f"j{rank}", rank=rank)
        assert (await stopped.call("read_queues", "mail"))[1][-1] == stopped.now_ms
        await stopped.call("delete", f"j{rank}", "", "")
