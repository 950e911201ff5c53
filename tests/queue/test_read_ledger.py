"""read_ledger.lua: submitted = listed + removed + corrected, whatever happens to jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dead_job, move_clock

DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
async def books(queue: RedisQueue) -> AsyncIterator[None]:
    """Some of these tests damage the books on purpose."""
    yield


async def _ledger(queue: RedisQueue, most: int = 1000, *more: str) -> list[int]:
    return await queue.shards[0].call("read_ledger", most, *more)


async def test_it_balances_after_everything_that_jobs_do(queue: RedisQueue, lane: Lane) -> None:
    assert await _ledger(queue) == [0, 0, 0, 0]
    dead = await dead_job(queue, lane)
    jobs = await queue.enqueue_many([NewJob("greet", queue=name) for name in ("default", "default", "mail")])
    (completed,) = await lane.claim()
    await lane.settle(completed, "completed")
    await queue.retry_as_new(dead.id, b'{"a":1}')
    assert await _ledger(queue) == [5, 5, 0, 0]
    await queue.delete(dead.id)
    await queue.delete(jobs[2].id)
    assert await _ledger(queue) == [5, 3, 2, 0]
    await move_clock(queue, DAY_MS + 1)
    assert await queue.trim() == 1
    assert await _ledger(queue) == [5, 2, 3, 0]


async def test_a_stray_entry_that_is_trimmed_is_no_removed_job(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await queue.client.zadd(queue.keys.index("default", "completed"), {job.id: 1})
    assert await queue.trim() == 1
    assert await _ledger(queue) == [1, 1, 0, 0]


async def test_what_is_missing_shows_until_it_is_entered(queue: RedisQueue) -> None:
    jobs = await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    for job in jobs[:2]:
        await queue.client.delete(queue.keys.job(job.id))
        await queue.client.zrem(queue.keys.index("default", "queued"), job.id)
    assert await _ledger(queue) == [3, 1, 0, 0]
    assert await queue.shards[0].call("repair_key", "do", "ledger", "", 1000) == [b"2 entered as missing"]
    assert await queue.shards[0].call("repair_key", "do", "ledger", "", 1000) == []
    assert await _ledger(queue) == [3, 1, 0, 2]
    await queue.client.zrem(queue.keys.index("default", "queued"), jobs[2].id)
    assert await _ledger(queue) == [3, 0, 0, 2]


async def test_queues_that_are_not_known_count_once_and_too_many_are_not_added_up(queue: RedisQueue) -> None:
    await queue.enqueue_many([NewJob("greet"), NewJob("greet"), NewJob("greet", queue="mail")])
    await queue.client.srem(queue.keys.queues, "mail")
    assert await _ledger(queue) == [3, 2, 0, 0]
    assert await _ledger(queue, 1000, "default", "mail") == [3, 3, 0, 0]
    assert await _ledger(queue, 1, "mail") == []
