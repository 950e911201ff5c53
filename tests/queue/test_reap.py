from __future__ import annotations

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, move_clock, structure


async def _steady(queue: RedisQueue, ms: int, step_ms: int = 4_000) -> list[str]:
    """Time passes with the reaper ticking, as it does while a process lives."""
    reaped: list[str] = []
    while ms > 0:
        await move_clock(queue, min(step_ms, ms))
        ms -= step_ms
        reaped += await queue.reap()
    return reaped


async def test_a_lapsed_worker_is_reaped_and_its_jobs_are_handed_back(queue: RedisQueue) -> None:
    assert await _steady(queue, 20_000) == []
    lane = await Lane(queue).register()
    job = await queue.enqueue(NewJob("greet"))
    await lane.claim()
    assert await _steady(queue, 12_000) == []
    assert await _steady(queue, 4_000) == ["w1"]
    stored = await queue.get(job.id)
    assert (stored.status, stored.lapses, stored.crashes, stored.retry_count) == (JobStatus.QUEUED, 1, 0, 0)
    assert stored.attempts[0].outcome == "lapsed"
    assert "workers" not in await structure(queue)


async def test_a_renewed_lease_lives_on(queue: RedisQueue, lane: Lane) -> None:
    for _ in range(6):
        await move_clock(queue, 4_000)
        assert await queue.renew("w1") == ["ok"]
        assert await queue.reap() == []


async def test_after_an_outage_nobody_is_reaped_in_a_rush(queue: RedisQueue) -> None:
    await _steady(queue, 20_000)
    lane = await Lane(queue).register()
    await queue.enqueue(NewJob("greet"))
    await lane.claim()
    await move_clock(queue, 60_000)
    assert await queue.reap() == [], "the lease ran out while nobody could renew it"
    assert await queue.renew("w1") == ["ok"], "it still counts"
    assert await _steady(queue, 12_000) == []


async def test_a_clock_that_ran_back_reaps_nobody(queue: RedisQueue) -> None:
    await _steady(queue, 20_000)
    await Lane(queue).register(lease_ms=1_000)
    await move_clock(queue, 3_000)
    await move_clock(queue, -10_000)
    assert await queue.reap() == []
    assert await _steady(queue, 12_000) == []


async def test_a_lease_given_before_the_clock_ran_back_does_not_outlast_it(queue: RedisQueue) -> None:
    await _steady(queue, 20_000)
    await Lane(queue).register()
    await move_clock(queue, -3_600_000)
    assert await queue.reap() == []
    assert await _steady(queue, 12_000) == []
    assert await _steady(queue, 4_000) == ["w1"], "not an hour later"


async def test_a_reaped_worker_cannot_come_back_under_its_id(queue: RedisQueue) -> None:
    await _steady(queue, 20_000)
    lane = await Lane(queue).register()
    assert await _steady(queue, 16_000) == ["w1"]
    assert await queue.renew("w1") == ["gone"]
    assert (await queue.beat("w1", {})).word == "gone"
    assert (await lane.turn(1)).word == "gone"


async def test_lapses_have_a_limit_of_their_own(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await _steady(queue, 20_000)
    await queue.client.hset(queue.keys.job(job.id), "lapses", 20)
    await (await Lane(queue).register()).claim()
    await _steady(queue, 16_000)
    stored = await queue.get(job.id)
    assert (stored.status, stored.reason, stored.lapses) == (JobStatus.DEAD, "worker_lost", 21)
