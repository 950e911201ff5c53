"""inspect_key.lua: what it says of keys that are no jobs. The findings made of it: tests/auditor."""

from __future__ import annotations

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dump, move_clock

LATE_MS = 2_000


async def _inspect(queue: RedisQueue, kind: str, *names: str) -> list[str]:
    reply = await queue.shards[0].call("inspect_key", kind, LATE_MS, *names)
    return [word.decode() for word in reply]


async def test_what_is_well_says_nothing_and_nothing_changes(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    await lane.claim()
    before = await dump(queue)
    assert await _inspect(queue, "worker", "w1", "never") == []
    assert await _inspect(queue, "queue", "default") == []
    assert await _inspect(queue, "group", "never") == []
    assert await _inspect(queue, "key", "workers", "zset", "", "idem:never", "string", "timed") == []
    assert await _inspect(queue, "reaper") == []
    assert await dump(queue) == before


async def test_a_type_that_is_wrong_and_a_time_limit_that_is_missing(queue: RedisQueue) -> None:
    prefix = queue.keys.prefix
    await queue.client.set(prefix + "idem:a", "x")
    await queue.client.set(prefix + "idem:b", "x", px=60_000)
    await queue.client.set(prefix + "q:default:settings", "x")
    await queue.client.hset(prefix + "meta", "a", "b")
    await queue.client.pexpire(prefix + "meta", 60_000)
    said = await _inspect(
        queue, "key", "idem:a", "string", "timed", "idem:b", "string", "timed",
        "q:default:settings", "hash", "", "meta", "hash", "",
    )  # fmt: skip
    assert said == ["idem:a", "no_ttl", "", "q:default:settings", "damaged", "string", "meta", "expires", ""]
    await queue.client.delete(prefix + "q:default:settings")


async def test_a_due_head_is_late_only_while_a_worker_lives(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=1_000))
    await move_clock(queue, 1_000 + LATE_MS - 900)
    assert await _inspect(queue, "queue", "default") == []
    await Lane(queue).register(5_000)
    assert await _inspect(queue, "queue", "default") == []
    await move_clock(queue, 1_000)
    assert await _inspect(queue, "queue", "default") == ["default", "overdue", f"scheduled: {job.id}"]
    await move_clock(queue, 10_000)  # its lease ran out
    assert await _inspect(queue, "queue", "default") == []


async def test_a_lapsed_lease_is_late_only_while_a_reaper_lives(queue: RedisQueue) -> None:
    await queue.reap()
    await move_clock(queue, 4_000)
    await queue.reap()  # trusts itself now: it ticked before
    await Lane(queue).register(15_000)
    await move_clock(queue, 20_000)
    assert await _inspect(queue, "reaper") == []  # no tick lately: nobody could have seen it
    await queue.client.hincrby(queue.keys.meta, "reap_tick", 20_000)
    assert await _inspect(queue, "reaper") == ["w1", "unreaped", ""]
    await queue.client.hincrby(
        queue.keys.meta, "reap_after", 20_000
    )  # everybody still has a lease to come back
    assert await _inspect(queue, "reaper") == []
