"""In a namespace of several shards: each is looked at and repaired, and what lies where nobody looks is named."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ironforge.job import NewJob
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import Keys, shard_of_name
from ironforge.queue.repair import repair

SHARDS = 3


@pytest.fixture
async def queue(redis_url: str, namespace: str) -> AsyncIterator[RedisQueue]:
    async with RedisQueue(redis_url, namespace, shards=SHARDS, shifted_clock=True) as opened:
        yield opened


def _queue_of(shard: int) -> str:
    return next(f"q{at}" for at in range(1000) if shard_of_name(f"q{at}", SHARDS) == shard)


async def _rules(queue: RedisQueue) -> list[tuple[str, str, int]]:
    return [(one.rule, one.subject, one.shard) for one in (await audit(queue)).findings]


async def test_each_shard_is_looked_at_and_repaired(queue: RedisQueue) -> None:
    jobs = [await queue.enqueue(NewJob("greet", queue=_queue_of(at))) for at in range(SHARDS)]
    assert await _rules(queue) == []
    for shard, job in zip(await queue.all_shards(), jobs, strict=True):
        await queue.client.zrem(shard.keys.index(job.queue, "queued"), job.id)
    assert sorted(await _rules(queue)) == sorted(
        entry
        for at, job in enumerate(jobs)
        for entry in (("ledger", "ledger", at), ("not_indexed", job.id, at))
    )
    assert {one.finding.shard for one in [one async for one in repair(queue)] if one.done} == {0, 1, 2}
    assert await _rules(queue) == []


async def test_a_job_or_a_queue_where_its_name_does_not_lead(queue: RedisQueue) -> None:
    shards = await queue.all_shards()
    job = await queue.enqueue(NewJob("greet", queue=_queue_of(1)))
    own, other = shards[1].keys, shards[2].keys
    await queue.client.rename(own.job(job.id), other.job(job.id))
    await queue.client.rename(own.index(job.queue, "queued"), other.index(job.queue, "queued"))
    await queue.client.sadd(other.queues, job.queue)
    found = await _rules(queue)
    assert ("wrong_shard", job.id, 2) in found and ("wrong_shard", job.queue, 2) in found


async def test_a_key_of_no_shard(queue: RedisQueue) -> None:
    stray = Keys(queue.namespace, 3, 4).prefix + "queues"
    await queue.client.sadd(stray, "default")
    await queue.client.set(f"{queue.namespace}:notes", "x")
    assert await _rules(queue) == [
        ("unknown_key", f"{queue.namespace}:notes", 0),
        ("unknown_key", stray, 0),
    ]
