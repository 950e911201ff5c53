"""Waiting for a mark and claiming in one exchange."""

from __future__ import annotations

import asyncio

import pytest

from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Turn, TurnReply
from tests.queue.state import Lane
from tests.waiting import eventually


def claim(number: int, slots: int = 2, lane: int = 0) -> Turn:
    return Turn("w1", lane, f"{number:x}.0123456789ab", slots, ("default",))


async def waiting(queue: RedisQueue, turn: Turn) -> asyncio.Task[TurnReply]:
    """A claim that Redis holds back until there is a mark."""
    task = asyncio.create_task(queue.claim_on_wake(turn, 30))

    async def is_blocked() -> bool:
        return (await queue.client.info())["blocked_clients"] > 0

    await eventually(is_blocked, 5)
    return task


async def test_the_claim_is_made_at_the_mark(queue: RedisQueue, lane: Lane) -> None:
    task = await waiting(queue, claim(1))
    job = await queue.enqueue(NewJob("greet"))
    reply = await asyncio.wait_for(task, 5)
    assert [taken.id for taken in reply.jobs] == [job.id]
    assert await queue.wait_for_wake(["default"], 0.05) is None  # the mark was taken too


async def test_without_a_mark_it_claims_after_its_time(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    assert await queue.wait_for_wake(["default"], 0.5) == "default"
    reply = await queue.claim_on_wake(claim(1), 0.05)
    assert [taken.id for taken in reply.jobs] == [job.id]


async def test_it_takes_nothing_once_a_later_turn_of_the_lane_claimed(queue: RedisQueue, lane: Lane) -> None:
    task = await waiting(queue, claim(1))
    assert (await queue.turn(claim(2))).jobs == []
    job = await queue.enqueue(NewJob("greet"))
    assert (await asyncio.wait_for(task, 5)).jobs == []
    assert [taken.id for taken in (await queue.turn(claim(3))).jobs] == [job.id]


async def test_broken_off_the_same_turn_is_given_the_same_jobs(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    first = await queue.claim_on_wake(claim(1), 1)
    again = await queue.turn(claim(1))  # as after a reply that was lost
    assert [taken.id for taken in first.jobs] == [taken.id for taken in again.jobs] == [job.id]
    assert again.jobs[0].fence == first.jobs[0].fence


async def test_a_connection_that_ends_while_it_waits_is_told(queue: RedisQueue, lane: Lane) -> None:
    task = await waiting(queue, claim(1))
    await queue.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(task, 5)
    job = await queue.enqueue(NewJob("greet"))
    assert [taken.id for taken in (await queue.turn(claim(1))).jobs] == [job.id]


async def test_a_server_that_forgot_its_scripts(queue: RedisQueue, lane: Lane) -> None:
    task = await waiting(queue, claim(1))
    await queue.client.execute_command("SCRIPT", "FLUSH")
    job = await queue.enqueue(NewJob("greet"))
    assert [taken.id for taken in (await asyncio.wait_for(task, 5)).jobs] == [job.id]


async def test_a_worker_without_a_lease_is_gone(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet"))
    assert (await queue.claim_on_wake(claim(1), 1)).word == "gone"
