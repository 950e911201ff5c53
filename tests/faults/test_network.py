"""What a network does to a client of the queue: it notices in time, says so in one way, and is well afterwards."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Any

import pytest

from ironforge.errors import StoreUnavailable
from ironforge.job import JobStatus, NewJob
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Turn
from tests.faults.batches import cut_batch
from tests.faults.proxy import BLACK_HOLE, CLEAR, Cut, FaultProxy, Flow
from tests.queue.state import Lane
from tests.waiting import eventually

NOTICED_S = 5.8  # the time limit of 5 s, and what a busy machine adds


async def refused(call: Any) -> float:
    """Seconds until the call said that the store is away."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await call
    return time.monotonic() - began


async def script_calls(queue: RedisQueue) -> int:
    """By the server's own count."""
    stats = await queue.client.info("commandstats")
    return stats["cmdstat_evalsha"]["calls"]


@pytest.mark.parametrize("cut", [Cut("before"), Cut("request"), Cut("after"), Cut("reply")])
async def test_the_client_itself_sends_nothing_twice(
    through: RedisQueue, proxy: FaultProxy, cut: Cut
) -> None:
    """Only scripts know what may be repeated: a retry below them would do it behind their back."""
    lane = await Lane(through).register()
    job = await through.enqueue(NewJob("greet"))
    proxy.seen.clear()
    proxy.decide = lambda _, request: cut if request[0] != b"HELLO" else None
    await refused(through.get(job.id))
    await refused(through.delete(job.id))
    assert proxy.seen["HGETALL"] == 1 and proxy.seen["EVALSHA"] == 1
    await refused(lane.claim())  # a pipeline that loads its script first
    assert proxy.seen["SCRIPT"] == 1 and proxy.seen["EVALSHA"] <= 2


async def test_a_black_hole_is_noticed_and_when_it_ends_the_next_call_works(
    through: RedisQueue, proxy: FaultProxy
) -> None:
    lane = await Lane(through).register()
    await asyncio.gather(*(through.pause("default") for _ in range(8)))  # eight connections, soon to be dead
    assert len(proxy.links) >= 8
    proxy.change_existing(BLACK_HOLE)
    proxy.flow = BLACK_HOLE
    large = [NewJob("greet", b'{"x":"%s"}' % (b"x" * 200_000)) for _ in range(20)]
    took = await asyncio.gather(
        refused(through.enqueue(NewJob("greet"))),
        refused(lane.claim()),
        refused(through.now_ms()),
        refused(through.enqueue_many(large)),
        refused(through.wait_for_wake(["default"], 0.3)),
    )
    assert max(took) < NOTICED_S, took
    proxy.flow = CLEAR
    # Some of the eight were idle meanwhile, as dead as the others: each would cost its caller five seconds.
    began = time.monotonic()
    await asyncio.gather(*(through.now_ms() for _ in range(8)))
    assert time.monotonic() - began < 2


async def test_a_claim_that_arrives_late_takes_nothing(
    through: RedisQueue, direct: RedisQueue, proxy: FaultProxy
) -> None:
    """A network that comes back delivers what was held. By then the claim was sent again, and answered."""
    from ironforge.worker.lane import claim_token

    lane = await Lane(through).register()
    await through.enqueue_many([NewJob("greet") for _ in range(6)])
    turns = [Turn("w1", 0, claim_token(at), 2, ("default",)) for at in range(9, 12)]
    held = list(proxy.links)
    proxy.change_existing(Flow(hold=True))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await through.turn(turns[0])
    known = [job.id for turn in turns for job in (await through.turn(turn)).jobs]
    assert len(known) == 6
    await through.enqueue_many([NewJob("greet") for _ in range(2)])
    before = await script_calls(direct)
    for link in held:
        link.flow = CLEAR

    async def is_delivered() -> bool:
        return await script_calls(direct) > before

    await eventually(is_delivered, 5, "the late claim ran")
    assert (await direct.read_queue("default")).queued == 2, "jobs of which no worker knows"
    assert (await lane.turn(1, token=claim_token(12))).jobs


async def test_of_a_batch_cut_anywhere_each_job_is_whole_or_absent(
    through: RedisQueue, direct: RedisQueue, proxy: FaultProxy
) -> None:
    result = await cut_batch(proxy, through, direct, Random(1), step=211)
    assert result.requests_cut > 60 and result.replies_cut > 8
    assert result.wrong == []
    assert not (await audit(direct)).findings


async def test_more_callers_than_connections(through: RedisQueue, proxy: FaultProxy) -> None:
    """They wait in line; some give up meanwhile; afterwards every connection is there again."""
    jobs = await through.enqueue_many([NewJob("greet") for _ in range(500)])
    proxy.flow = Flow(lag_s=0.02)

    async def read(at: int) -> str:
        try:
            async with asyncio.timeout(0.05 if at % 5 == 0 else 20):
                return (await through.get(jobs[at].id)).status
        except TimeoutError:
            return "gave up"

    found = await asyncio.gather(*(read(at) for at in range(500)))
    assert found.count(JobStatus.QUEUED) >= 400, "those who waited got their answer"
    assert "gave up" in found
    assert len(proxy.links) <= 50
    proxy.flow = Flow(lag_s=0.2)
    began = time.monotonic()
    await asyncio.gather(*(through.get(job.id) for job in jobs[:50]))
    assert time.monotonic() - began < 2.5, "fifty at once: no connection was lost"
