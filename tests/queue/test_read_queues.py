from __future__ import annotations

from ironforge.job import NewJob, Priority
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, dead_job, dump, move_clock


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
