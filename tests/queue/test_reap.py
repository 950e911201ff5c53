from __future__ import annotations

import pytest

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, move_clock, structure
from tests.queue.stopped import Stopped


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


_LEASE_MS, _OUTAGE_MS = 15_000, 5_000


async def _reap(stopped: Stopped, most: int = 10) -> list[str]:
    return await stopped.call("reap", _LEASE_MS, _OUTAGE_MS, most, ERROR)


async def _ticking(stopped: Stopped, ms: int) -> list[str]:
    """A reaper ticks each second, and once more at the end."""
    reaped: list[str] = []
    while ms > 0:
        stopped.later(min(1_000, ms))
        ms -= 1_000
        reaped += await _reap(stopped)
    return reaped


async def test_a_lease_ends_at_its_millisecond(stopped: Stopped) -> None:
    await _reap(stopped)
    assert await _ticking(stopped, 20_000) == []
    await stopped.register("w", 2_000)
    assert await _ticking(stopped, 1_999) == []
    assert await _ticking(stopped, 1) == ["w"]


async def test_the_first_tick_waits_a_lease_to_the_millisecond(stopped: Stopped) -> None:
    await stopped.register("w", 1)
    stopped.later(1_000)
    assert await _reap(stopped) == []
    assert await _ticking(stopped, _LEASE_MS - 1) == []
    assert await _ticking(stopped, 1) == ["w"]


async def _known_reaper(stopped: Stopped) -> None:
    """A reaper that ticked for long enough to reap, and a worker whose lease ran out this moment."""
    await _reap(stopped)
    await _ticking(stopped, _LEASE_MS)
    await stopped.register("w", 0)


async def test_a_gap_is_an_outage_from_its_bound_on(stopped: Stopped) -> None:
    await _known_reaper(stopped)
    stopped.later(_OUTAGE_MS + 1)
    assert await _reap(stopped) == []
    assert await _ticking(stopped, _LEASE_MS - 1) == []
    await stopped.register("v", 1)
    assert await _ticking(stopped, 1) == ["w", "v"]
    await stopped.register("u", 0)
    stopped.later(_OUTAGE_MS)
    assert await _reap(stopped) == ["u"]


async def test_two_ticks_at_one_moment_are_no_outage_and_a_step_back_is(stopped: Stopped) -> None:
    await _known_reaper(stopped)
    assert await _reap(stopped) == ["w"]
    await stopped.register("v", 0)
    assert await _reap(stopped) == ["v"]
    await stopped.register("u", 0)
    stopped.later(-1)
    assert await _reap(stopped) == []
    stopped.later(1)
    assert await _reap(stopped) == [], "and then a whole lease passes"


async def test_what_a_reaped_worker_leaves_to_the_millisecond(queue: RedisQueue, stopped: Stopped) -> None:
    await _reap(stopped)
    await _ticking(stopped, _LEASE_MS)
    place = stopped.place()
    await stopped.run("a")
    began = stopped.now_ms
    await stopped.put("worker:w-a:orders", "SADD", "quiet")
    await stopped.woken()
    version = await stopped.version()
    assert await _ticking(stopped, _LEASE_MS) == ["w-a"]
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["lapses"], "crashes" in stored) == ("queued", "1", False)
    assert stored["attempt:1"] == f"{began} {stopped.now_ms} w-a lapsed {ERROR}"
    assert await stopped.scores("q:mail:queued") == {"a": place}
    assert await stopped.woken() and await stopped.version() == version + 1
    assert await stopped.hash("worker:w-a") == {} and await stopped.members("worker:w-a:orders") == set()
    stats = await queue.read_stats()
    assert (stats.durations["greet", "lapsed"].count, stats.others["workers_lapsed"]) == (1, 1)


async def test_no_more_than_asked_for_are_reaped_at_once(stopped: Stopped) -> None:
    await _known_reaper(stopped)
    await stopped.register("v", 0)
    await stopped.register("x", 0)
    assert len(await _reap(stopped, 2)) == 2
    assert len(await _reap(stopped, 2)) == 1


@pytest.mark.parametrize(("before", "status"), [(18, "queued"), (19, "queued"), (20, "dead")])
async def test_the_limit_of_lapses(stopped: Stopped, before: int, status: str) -> None:
    await _reap(stopped)
    await _ticking(stopped, _LEASE_MS)
    await stopped.run("a")
    await stopped.put("job:a", "HSET", "lapses", before)
    await _ticking(stopped, _LEASE_MS)
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["lapses"]) == (status, str(before + 1))
    assert stored.get("reason") == ("worker_lost" if status == "dead" else None)


@pytest.mark.parametrize("lost", ["reap_tick", "reap_after"])
async def test_a_mark_that_lost_a_field_counts_as_none(stopped: Stopped, lost: str) -> None:
    await _known_reaper(stopped)
    await stopped.put("meta", "HDEL", lost)
    assert await _reap(stopped) == []
    assert await _ticking(stopped, _LEASE_MS - 1) == []
    assert await _ticking(stopped, 1) == ["w"]


async def test_after_a_step_back_no_lease_is_longer_than_one(stopped: Stopped) -> None:
    """However many there are; shorter ones stay as they are, and so do all when the clock did not run back."""
    await _reap(stopped)
    await _ticking(stopped, _LEASE_MS)
    begins = stopped.now_ms
    crowd = {f"w{at}": begins + 3_600_000 for at in range(1_010)}
    await stopped.put("workers", "ZADD", begins + 9_000, "short", *_flat(crowd))
    assert await _reap(stopped) == []
    assert await stopped.scores("workers") == {"short": begins + 9_000, **crowd}
    stopped.later(-1_000)
    assert await _reap(stopped) == []
    ends = dict.fromkeys(crowd, begins - 1_000 + _LEASE_MS)
    assert await stopped.scores("workers") == {"short": begins + 9_000, **ends}


def _flat(scores: dict[str, int]) -> list[str | int]:
    return [part for member, score in scores.items() for part in (score, member)]
