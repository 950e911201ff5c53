"""inspect_job.lua and the auditor on it: a planted mistake of each kind is found, and healthy books are clean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ironforge.job import NewJob
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, dead_job


@pytest.fixture(autouse=True)
async def books(queue: RedisQueue) -> AsyncIterator[None]:
    """These tests damage the books on purpose."""
    yield


async def _everything(queue: RedisQueue, lane: Lane) -> dict[str, str]:
    """A job of every status."""
    dead = await dead_job(queue, lane)
    jobs = await queue.enqueue_many([NewJob("greet") for _ in range(5)])
    completed, retrying, running = await lane.claim(3)
    await lane.settle(completed, "completed")
    await lane.settle(retrying, "retry", error_json=ERROR, delay_ms=60_000, fingerprint="f")
    await queue.cancel(jobs[4].id)
    scheduled = await queue.enqueue(NewJob("greet", delay_ms=60_000))
    return {
        "dead": dead.id, "completed": completed.id, "retrying": retrying.id, "running": running.id,
        "queued": jobs[3].id, "cancelled": jobs[4].id, "scheduled": scheduled.id,
    }  # fmt: skip


async def test_healthy_books_are_clean(queue: RedisQueue, lane: Lane) -> None:
    await _everything(queue, lane)
    found = await audit(queue)
    assert (found.findings, found.jobs, found.entries) == ([], 7, 7)


Damage = Callable[[RedisQueue, dict[str, str]], Awaitable[object]]


async def _delete_hash(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.delete(queue.keys.job(ids["queued"]))


async def _ghost(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zadd(queue.keys.index("default", "completed"), {"ghost": 9e15})


async def _lost_entry(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zrem(queue.keys.index("default", "retrying"), ids["retrying"])


async def _twice(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zadd(queue.keys.index("default", "dead"), {ids["scheduled"]: 1})


async def _wrong_status(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.hset(queue.keys.job(ids["cancelled"]), "status", "completed")


async def _no_claim(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.srem(queue.keys.claims("w1"), ids["running"])


async def _stale_claim(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.sadd(queue.keys.claims("w1"), ids["queued"])


async def _no_worker(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zrem(queue.keys.workers, "w1")


async def _not_grouped(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zrem(queue.keys.dead_group("f1"), ids["dead"])


async def _group_count(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zincrby(queue.keys.dead_groups, 5, "f1")


async def _false_suspect(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zrem(queue.keys.index("default", "queued"), ids["queued"])
    await queue.client.zadd(queue.keys.index("default", "suspects"), {ids["queued"]: 1})


async def _no_suspect(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.hset(queue.keys.job(ids["queued"]), "crashes", 2)


async def _no_hash(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.set(queue.keys.job("text"), "no hash")


async def _no_status(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.hset(queue.keys.job("hollow"), "kind", "x")


async def _invented_status(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.hset(queue.keys.job(ids["queued"]), "status", "resting")


async def _unknown_queue(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.srem(queue.keys.queues, "default")


async def _ghost_in_unknown_queue(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zadd(queue.keys.index("nowhere", "queued"), {"ghost": 1})


async def _elsewhere(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zadd(queue.keys.index("mail", "queued"), {ids["queued"]: 1})


async def _ghost_claim(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.sadd(queue.keys.claims("gone"), "ghost")


async def _ghost_in_group(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zadd(queue.keys.dead_group("f1"), {"ghost": 1})


async def _left_in_group(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zadd(queue.keys.dead_group("f1"), {ids["queued"]: 1})


async def _other_group(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zadd(queue.keys.dead_group("f2"), {ids["dead"]: 1})


async def _unlisted_group(queue: RedisQueue, ids: dict[str, str]) -> None:
    await queue.client.zrem(queue.keys.dead_groups, "f1")


@pytest.mark.parametrize(
    ("damage", "rule", "subject"),
    [
        (_delete_hash, "ghost", "queued"),
        (_ghost, "ghost", "ghost"),
        (_lost_entry, "not_indexed", "retrying"),
        (_twice, "several_places", "scheduled"),
        (_wrong_status, "wrong_place", "cancelled"),
        (_no_claim, "unclaimed", "running"),
        (_stale_claim, "claim", "queued"),
        (_no_worker, "unclaimed", "running"),
        (_not_grouped, "group", "dead"),
        (_group_count, "group_count", "f1"),
        (_false_suspect, "suspect", "queued"),
        (_no_suspect, "suspect", "queued"),
        (_no_hash, "damaged", "text"),
        (_no_status, "damaged", "hollow"),
        (_invented_status, "status", "queued"),
        (_unknown_queue, "unknown_queue", "queued"),
        (_ghost_in_unknown_queue, "ghost", "ghost"),
        (_elsewhere, "several_places", "queued"),
        (_ghost_claim, "claim", "ghost"),
        (_ghost_in_group, "ghost", "ghost"),
        (_left_in_group, "other_group", "queued"),
        (_other_group, "other_group", "dead"),
        (_unlisted_group, "group", "dead"),
    ],
)
async def test_a_planted_mistake_is_named(
    queue: RedisQueue, lane: Lane, damage: Damage, rule: str, subject: str
) -> None:
    ids = await _everything(queue, lane)
    await damage(queue, ids)
    found = await audit(queue)
    assert (rule, ids.get(subject, subject)) in {(one.rule, one.subject) for one in found.findings}


async def test_it_stops_at_the_most_findings_it_may_have(queue: RedisQueue) -> None:
    await queue.client.zadd(queue.keys.index("default", "dead"), {f"ghost{at}": at for at in range(300)})
    found = await audit(queue, most_findings=10)
    assert (len(found.findings), found.whole) == (10, False)


async def test_a_live_namespace_is_no_false_alarm(queue: RedisQueue, lane: Lane) -> None:
    import asyncio

    await queue.enqueue_many([NewJob("greet") for _ in range(2000)])
    stop = asyncio.Event()

    async def work() -> None:
        while not stop.is_set():
            for job in await lane.claim(20):
                await lane.settle(job, "completed")

    working = asyncio.create_task(work())
    findings = [finding for _ in range(3) for finding in (await audit(queue)).findings]
    stop.set()
    await working
    assert findings == []
