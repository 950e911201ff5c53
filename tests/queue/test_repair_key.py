"""repair_key.lua: a queue, a worker, a group or a time limit is put right."""

from __future__ import annotations

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dead_job, dump


async def _repair(queue: RedisQueue, kind: str, name: str, verb: str = "do") -> list[str]:
    return [word.decode() for word in await queue.shards[0].call("repair_key", verb, kind, name, 60_000)]


async def test_what_is_well_stays_as_it_is(queue: RedisQueue, lane: Lane) -> None:
    await dead_job(queue, lane)
    before = await dump(queue)
    for kind, name in (
        ("queue", "default"),
        ("worker", "w1"),
        ("worker", "never"),
        ("group", "f1"),
        ("lasting", "meta"),
    ):
        assert await _repair(queue, kind, name) == []
    assert await dump(queue) == before


async def test_a_worker_without_a_lease_is_forgotten_and_its_jobs_go_back(
    queue: RedisQueue, lane: Lane
) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    jobs = await lane.claim(2)
    await queue.client.zrem(queue.keys.workers, "w1")
    before = await dump(queue)
    assert len(await _repair(queue, "worker", "w1", "tell")) == 1
    assert await dump(queue) == before
    await _repair(queue, "worker", "w1")
    assert not [name for name in await dump(queue) if name.startswith("worker:")]
    assert [(await queue.get(job.id)).status for job in jobs] == [JobStatus.QUEUED] * 2
    assert (await queue.read_stats()).others["workers_lapsed"] == 1
    assert await queue.client.zscore(queue.keys.wake("default"), "ready") == 1
    again = await (await Lane(queue, "w2").register()).claim(3)
    assert [job.id for job in again][:2] == [job.id for job in jobs]


async def test_a_worker_that_waits_for_nothing_claims_again(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    await queue.client.hset(queue.keys.worker("w1"), "alone", "never")
    assert await lane.claim() == []
    assert await _repair(queue, "worker", "w1") == ["may claim again"]
    assert len(await lane.claim()) == 1


async def test_after_its_sequence_was_lost_a_queue_stays_first_in_first_out(
    queue: RedisQueue, lane: Lane
) -> None:
    await queue.client.hset(queue.keys.settings("default"), "sequence", 2**50)
    first = await queue.enqueue(NewJob("greet"))
    await queue.client.hdel(queue.keys.settings("default"), "sequence")
    assert await _repair(queue, "queue", "default") == ["sequence set"]
    second = await queue.enqueue(NewJob("greet"))
    assert [job.id for job in await lane.claim(2)] == [first.id, second.id]


async def test_a_time_limit_is_given_once(queue: RedisQueue) -> None:
    key = queue.keys.idempotency("a")
    await queue.client.set(key, "x")
    assert await _repair(queue, "timed", "idem:a") == ["will end"]
    assert 0 < await queue.client.pttl(key) <= 60_000
    assert await _repair(queue, "timed", "idem:a") == []
    assert await _repair(queue, "timed", "idem:never") == []


async def test_a_wake_mark_that_is_none_is_made_anew(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet"))
    await queue.client.delete(queue.keys.wake("default"))
    await queue.client.zadd(queue.keys.wake("default"), {"up": 1})
    assert await _repair(queue, "queue", "default") == ["wake mark made anew", "idle workers woken"]
    assert (await dump(queue))["q:default:wake"] == ["ready"]
