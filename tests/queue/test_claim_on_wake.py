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


async def marked(queue: RedisQueue, name: str) -> bool:
    return await queue.wait_for_wake([name], 0.05) == name


async def take_marks(queue: RedisQueue, *names: str) -> None:
    for name in names:
        assert await marked(queue, name)


BOTH = ("first", "second")


def claim_both(number: int, slots: int) -> Turn:
    return Turn("w1", 0, f"{number:x}.0123456789ab", slots, BOTH)


@pytest.mark.parametrize(("slots", "is_left"), [(1, True), (2, False)])
async def test_a_mark_is_set_again_when_another_queue_filled_the_claim(
    queue: RedisQueue, lane: Lane, slots: int, is_left: bool
) -> None:
    await queue.enqueue_many([NewJob("greet", queue=name) for name in BOTH])
    await take_marks(queue, "first")
    reply = await queue.claim_on_wake(claim_both(1, slots), 5)  # by the mark of the second
    assert [job.queue for job in reply.jobs] == list(BOTH[:slots])
    assert await marked(queue, "second") is is_left


async def test_a_mark_is_set_again_when_the_claim_came_too_late(queue: RedisQueue, lane: Lane) -> None:
    await queue.turn(claim_both(2, 1))
    await queue.enqueue(NewJob("greet", queue="second"))
    reply = await queue.claim_on_wake(claim_both(1, 1), 5)
    assert (reply.word, reply.jobs) == ("late", [])
    assert await marked(queue, "second")


async def test_a_mark_is_set_again_when_the_worker_is_gone(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet", queue="second"))
    assert (await queue.claim_on_wake(claim_both(1, 1), 5)).word == "gone"
    assert await marked(queue, "second")


async def test_a_mark_of_a_queue_that_was_emptied_meanwhile_is_gone(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet", queue="second"))
    await queue.delete(job.id)
    assert (await queue.claim_on_wake(claim_both(1, 1), 5)).jobs == []
    assert not await marked(queue, "second")
