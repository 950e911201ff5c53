"""A head whose time is over is looked at twice: one that stays is named, one that moves is no false alarm."""

from __future__ import annotations

import asyncio

import pytest

from ironforge.job import NewJob
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, move_clock


@pytest.fixture(autouse=True)
def brief_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a maintenance tick and a second are in production."""
    monkeypatch.setattr("ironforge.queue.inspecting.PATIENCE_S", 0.3)


async def _rules(queue: RedisQueue) -> list[tuple[str, str]]:
    return [(one.rule, one.subject) for one in (await audit(queue)).findings]


async def test_a_due_job_that_nobody_promotes(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet", delay_ms=1_000))
    await Lane(queue).register(60_000)
    await move_clock(queue, 5_000)
    assert await _rules(queue) == [("overdue", "default")]
    await queue.promote_due()
    assert await _rules(queue) == []


async def test_a_herd_of_due_jobs_that_is_promoted_step_by_step(queue: RedisQueue) -> None:
    await queue.enqueue_many([NewJob("greet", delay_ms=1_000) for _ in range(500)])
    await Lane(queue).register(60_000)
    await move_clock(queue, 5_000)
    looking = asyncio.create_task(_rules(queue))
    while not looking.done():
        await queue.promote_due(1)
    assert await looking == []


async def test_a_worker_that_nobody_reaps_though_a_reaper_lives(queue: RedisQueue) -> None:
    await queue.reap()
    await Lane(queue, "w1").register(1_000)
    await Lane(queue, "w2").register(1_500)
    await move_clock(queue, 20_000)
    await queue.client.hset(queue.keys.meta, mapping={"reap_after": 1, "reap_tick": 9_999_999_999_999})
    assert await _rules(queue) == [("unreaped", "w1")]
    await queue.client.hset(queue.keys.meta, "reap_tick", 1)  # an outage: everybody gets a lease to come back
    assert await _rules(queue) == []


async def test_workers_that_are_reaped_one_after_another(queue: RedisQueue) -> None:
    for at in range(60):
        await Lane(queue, f"w{at}").register(1_000 + at)
    await move_clock(queue, 20_000)
    looking = asyncio.create_task(_rules(queue))
    while not looking.done():
        await queue.client.hset(
            queue.keys.meta, mapping={"reap_after": 1, "reap_tick": await queue.now_ms() + 20_000}
        )
        await queue.reap(limit=1)
        await asyncio.sleep(0)
    assert await looking == []
