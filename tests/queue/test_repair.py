"""repair.lua: one job is put right. What is found and repaired by rule: tests/auditor."""

from __future__ import annotations

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dead_job, dump, move_clock

BAND = 2**51


async def _repair(queue: RedisQueue, job_id: str, *found_in: str, verb: str = "do") -> list[str]:
    places = [*found_in, "", "", ""][:3]
    return [word.decode() for word in await queue.shards[0].call("repair", verb, job_id, *places)]


async def test_a_job_that_is_well_stays_as_it_is(queue: RedisQueue, lane: Lane) -> None:
    dead = await dead_job(queue, lane)
    job = await queue.enqueue(NewJob("greet"))
    await lane.claim()
    before = await dump(queue)
    for job_id in (dead.id, job.id):
        assert await _repair(queue, job_id, "default", "w1", "f1") == []
    assert await dump(queue) == before


async def test_a_ghost_leaves_the_place_where_it_was_met(queue: RedisQueue) -> None:
    await queue.client.zadd(queue.keys.index("default", "queued"), {"ghost": 1})
    assert await _repair(queue, "ghost") == []
    assert await _repair(queue, "ghost", "default", verb="tell") == ["removed from default:queued"]
    assert await queue.client.zscore(queue.keys.index("default", "queued"), "ghost")
    assert await _repair(queue, "ghost", "default") == ["removed from default:queued"]
    assert not await queue.client.exists(queue.keys.index("default", "queued"))


async def test_a_lost_queued_job_stands_where_it_would_have_and_workers_are_woken(
    queue: RedisQueue, lane: Lane
) -> None:
    early = await queue.enqueue(NewJob("greet"))
    await move_clock(queue, 50)
    await queue.enqueue_many([NewJob("greet") for _ in range(2)])
    await queue.client.zrem(queue.keys.index("default", "queued"), early.id)
    await queue.client.delete(queue.keys.wake("default"))
    assert "placed in default:queued" in await _repair(queue, early.id)
    assert await queue.client.zscore(queue.keys.wake("default"), "ready") == 1
    assert [job.id for job in await lane.claim()] == [early.id]


async def test_the_place_that_its_status_names_is_kept(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=60_000))
    due = await queue.client.zscore(queue.keys.index("default", "scheduled"), job.id)
    for part in ("queued", "completed", "dead"):
        await queue.client.zadd(queue.keys.index("default", part), {job.id: 1})
    assert len(await _repair(queue, job.id)) == 3
    assert await queue.client.zscore(queue.keys.index("default", "scheduled"), job.id) == due
    assert await lane.claim() == []


async def test_a_running_job_that_nobody_holds_is_handed_back_as_lapsed_and_its_late_settle_refused(
    queue: RedisQueue, lane: Lane
) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    await queue.client.srem(queue.keys.claims("w1"), job.id)
    assert await _repair(queue, job.id) == ["handed back as lapsed, for no worker holds it"]
    again = await queue.get(job.id)
    assert (again.status, again.lapses, again.retry_count) == (JobStatus.QUEUED, 1, 0)
    assert again.attempts[-1].outcome == "lapsed" and again.attempts[-1].error
    assert "no worker held it" in again.attempts[-1].error.message
    assert await lane.settle(job, "completed") == "refused"


async def test_a_running_job_that_is_held_stays_with_its_worker(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    await queue.client.zrem(queue.keys.index("default", "running"), job.id)
    await queue.client.zadd(queue.keys.index("default", "queued"), {job.id: 2 * BAND + 5})
    assert await _repair(queue, job.id) == ["removed from default:queued", "placed in default:running"]
    assert await lane.settle(job, "completed") == "ok"


async def test_nothing_is_done_that_would_meet_a_key_of_another_type(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    await queue.client.srem(queue.keys.claims("w1"), job.id)
    wake = queue.keys.wake("default")
    await queue.client.delete(wake)
    await queue.client.set(wake, "text")
    before = await dump(queue)
    assert await _repair(queue, job.id) == []
    assert await dump(queue) == before
    await queue.client.delete(wake)
    assert await _repair(queue, job.id)


async def test_a_queued_job_names_no_holder_and_is_claimed_by_nobody(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await queue.client.hset(queue.keys.job(job.id), "worker", "w1")
    await queue.client.sadd(queue.keys.claims("w1"), job.id)
    assert await _repair(queue, job.id) == ["worker dropped", "removed from the claims of w1"]
    assert not await queue.client.exists(queue.keys.claims("w1"))


async def test_a_job_that_left_the_dead_leaves_its_group_which_is_counted_again(
    queue: RedisQueue, lane: Lane
) -> None:
    await dead_job(queue, lane)
    job = await queue.enqueue(NewJob("greet"))
    await queue.client.hset(queue.keys.job(job.id), "fingerprint", "f1")
    await queue.client.zadd(queue.keys.dead_group("f1"), {job.id: 1})
    await queue.client.zincrby(queue.keys.dead_groups, 1, "f1")
    assert await _repair(queue, job.id) == ["removed from error group f1", "group counted again"]
    assert await queue.client.zscore(queue.keys.dead_groups, "f1") == 1
    assert await queue.client.zcard(queue.keys.dead_group("f1")) == 1


async def test_what_comes_after_a_job_that_was_placed_again_comes_after_it(
    queue: RedisQueue, lane: Lane
) -> None:
    first = await queue.enqueue(NewJob("greet"))
    await queue.client.zrem(queue.keys.index("default", "queued"), first.id)
    await queue.client.hdel(queue.keys.settings("default"), "sequence")
    assert "sequence raised" in await _repair(queue, first.id)
    score = await queue.client.zscore(queue.keys.index("default", "queued"), first.id)
    assert int(await queue.client.hget(queue.keys.settings("default"), "sequence")) == score % BAND
    await queue.client.hincrby(queue.keys.settings("default"), "sequence", 10)
    await queue.client.zrem(queue.keys.index("default", "queued"), first.id)
    assert await _repair(queue, first.id) == ["idle workers woken", "placed in default:queued"]
