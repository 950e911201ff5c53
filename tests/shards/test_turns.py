"""One worker over several shards: claims, settles, wakes, and a claim that breaks off half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from ironforge.errors import StoreUnavailable
from ironforge.job import JobStatus, NewJob
from ironforge.queue import turning
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter, Settlement, Turn
from ironforge.queue.shard import Shard
from tests.queue.state import Lane
from tests.shards.conftest import SHARDS
from tests.waiting import eventually


async def test_free_slots_are_filled_from_every_shard(queue: RedisQueue, one_each: list[str]) -> None:
    await queue.enqueue_many([NewJob("greet", queue=name) for name in one_each])
    lane = await Lane(queue, queues=tuple(one_each)).register()
    jobs = await lane.claim(3)
    assert len({job.queue for job in jobs}) == 3
    rest = await lane.claim(3)
    assert sorted(job.queue for job in jobs + rest) == sorted(one_each)
    words = (await lane.turn(0, *(Settlement(job.id, job.fence, "completed") for job in jobs + rest))).settled
    assert words == ["ok"] * 4


async def test_no_shard_is_always_first(queue: RedisQueue, one_each: list[str]) -> None:
    await queue.enqueue_many([NewJob("greet", queue=name) for name in one_each * 3])
    lane = await Lane(queue, queues=tuple(one_each)).register()
    first = [(await lane.claim(1))[0].queue for _ in range(SHARDS)]
    assert sorted(first) == sorted(one_each)


async def test_settlements_come_back_in_their_order(queue: RedisQueue, one_each: list[str]) -> None:
    await queue.enqueue_many([NewJob("greet", queue=name) for name in one_each])
    lane = await Lane(queue, queues=tuple(one_each)).register()
    jobs = await lane.claim(4)
    good = [Settlement(job.id, job.fence, "completed") for job in jobs]
    mixed = [
        good[0],
        Settlement(jobs[1].id, "9:other", "completed"),
        Settlement(f"{jobs[0].id[:15]}fff{jobs[0].id[18:]}", "1:x", "completed"),
        good[2],
    ]
    assert (await lane.turn(0, *mixed)).settled == ["ok", "refused", "refused", "ok"]
    assert (await lane.turn(0, *good)).settled == ["already", "ok", "already", "ok"]


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Counts down at each claim; at 0 the claim takes effect and its reply is lost."""
    left: list[int] = []
    whole = turning._turn_in

    async def cut(shard: Shard, turn: Turn) -> Any:
        reply = await whole(shard, turn)
        if turn.slots and left:
            left[0] -= 1
            if left[0] == 0:
                left.clear()
                raise StoreUnavailable("cut")
        return reply

    monkeypatch.setattr(turning, "_turn_in", cut)
    yield left


@pytest.mark.parametrize("cut_at", [1, 2, 3, 4])
async def test_a_claim_whose_reply_was_lost_holds_nothing_unseen(
    queue: RedisQueue, one_each: list[str], breaks: list[int], cut_at: int
) -> None:
    lane = await Lane(queue, queues=tuple(one_each)).register()
    await queue.enqueue_many([NewJob("greet", queue=name) for name in one_each])
    breaks.append(cut_at)
    with pytest.raises(StoreUnavailable):
        await lane.claim(4, token="t")
    await queue.enqueue_many(
        [NewJob("greet", queue=name) for name in one_each]
    )  # more than the slots can take
    jobs = await lane.claim(4, token="t")
    running = (await queue.list_jobs(JobFilter(status=JobStatus.RUNNING))).jobs
    assert sorted(job.id for job in jobs) == sorted(job.id for job in running), "what it holds, it knows of"
    assert len(jobs) == 4


async def test_a_lease_lost_in_one_shard_is_a_lease_lost(queue: RedisQueue, one_each: list[str]) -> None:
    lane = await Lane(queue, queues=tuple(one_each)).register()
    assert await queue.renew("w1") == ["ok"]
    await queue.shards[2].call("hand_back", "w1", "ended", "")
    assert await queue.renew("w1") == ["gone"]
    assert (await queue.beat("w1", {})).word == "gone"
    assert (await lane.turn(4)).word == "gone"
    assert await queue.hand_back("w1", "ended", {}) == 0
    assert await queue.hand_back("w1", "ended", {}) == -1


@pytest.mark.parametrize("apart", [False, True])
async def test_a_mark_of_any_shard_wakes(
    queue: RedisQueue, one_each: list[str], apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if apart:  # as in a Cluster, where no call may block on the keys of two slots
        monkeypatch.setattr(queue, "url", queue.url.replace("unix://", "redis+cluster://"))
    for name in one_each:
        waiting = asyncio.create_task(queue.wait_for_wake(one_each, 5))
        await queue.enqueue(NewJob("greet", queue=name))
        assert await waiting == name
    assert await queue.wait_for_wake(one_each, 0.05) is None


async def test_a_mark_that_comes_when_nobody_here_waits_any_more_wakes_another(
    queue: RedisQueue, namespace: str, one_each: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RedisQueue(queue.url, namespace) as other:
        for one in (queue, other):
            monkeypatch.setattr(one, "url", one.url.replace("unix://", "redis+cluster://"))
        waiting = asyncio.create_task(queue.wait_for_wake(one_each, 30))
        await queue.enqueue(NewJob("greet", queue=one_each[0]))
        assert await waiting == one_each[0]  # its calls that block on the others' marks go on
        waiting = asyncio.create_task(other.wait_for_wake(one_each, 30))

        async def all_block() -> bool:
            return (await queue.client.info())["blocked_clients"] == 2 * len(one_each) - 1

        await eventually(all_block, 5)
        await queue.enqueue(NewJob("greet", queue=one_each[1]))
        assert await asyncio.wait_for(waiting, 5) == one_each[1]


async def test_two_claims_of_a_lane_may_be_under_way_at_once(queue: RedisQueue, one_each: list[str]) -> None:
    """One that waited for a mark, and one of a turn that settles."""
    await Lane(queue, queues=tuple(one_each)).register()
    await queue.enqueue_many([NewJob("greet", queue=name) for name in one_each * 2])
    turns = [Turn("w1", 0, f"{at}.0123456789ab", 4, tuple(one_each)) for at in (1, 2)]
    replies = await asyncio.gather(queue.claim_on_wake(turns[0], 5), queue.turn(turns[1]))
    taken = [job.id for reply in replies for job in reply.jobs]
    assert 4 <= len(taken) == len(set(taken)) <= 8
