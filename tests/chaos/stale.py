"""Zombies made in this process: worker A loses its jobs while it runs them, B runs them, A goes on as if nothing was.

Every key of the namespace is compared before and after, byte for byte.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Settlement, Turn
from ironforge.queue.working import LEASE_MS
from tests.queue.state import ERROR, Lane, move_clock

Whole = dict[bytes, bytes]
Outcome = Literal["completed", "retry", "dead", "cancelled", "released"]
Loss = Literal["lapsed", "crashed", "ended"]
OUTCOMES: tuple[Outcome, ...] = ("completed", "retry", "dead", "cancelled", "released")
LOSSES: tuple[Loss, ...] = ("lapsed", "crashed", "ended")
# A namespace serves so many rounds: all of it is read again and again.
ROUNDS_PER_NAMESPACE = 25


@dataclass(slots=True)
class Tally:
    """What came of the rounds."""

    rounds: int = 0
    writes: int = 0
    accepted: int = 0
    changed: int = 0
    stands: int = 0
    late: int = 0
    late_accepted: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


async def stale_rounds(url: str, rounds: int, rng: Random) -> Tally:
    """So many zombies, each with one to three jobs."""
    tally = Tally()
    for first in range(0, rounds, ROUNDS_PER_NAMESPACE):
        async with Pair(url, f"stale{first}") as pair:
            for at in range(first, min(rounds, first + ROUNDS_PER_NAMESPACE)):
                tally += await _round(pair, at, rng)
    return tally


async def late_rounds(url: str, rounds: int, rng: Random) -> Tally:
    """Workers whose lease ran out, and nobody noticed yet: what they finished counts."""
    tally = Tally()
    for first in range(0, rounds, ROUNDS_PER_NAMESPACE):
        async with Pair(url, f"late{first}") as pair:
            for at in range(first, min(rounds, first + ROUNDS_PER_NAMESPACE)):
                tally.late += 1
                tally.late_accepted += await _late(pair, at, rng)
    return tally


class Pair:
    """Two workers, each with a connection of its own, and a third for everybody else."""

    def __init__(self, url: str, namespace: str) -> None:
        self.a, self.b, self.other = (RedisQueue(url, namespace, shifted_clock=True) for _ in range(3))

    async def __aenter__(self) -> Pair:
        for queue in (self.a, self.b, self.other):
            await queue.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for queue in (self.a, self.b, self.other):
            await queue.close()


async def whole(queue: RedisQueue) -> Whole:
    """Every key as Redis would store it, the counters of the statistics apart."""
    client: Any = queue.client
    keys: list[bytes] = sorted([key async for key in client.scan_iter(f"{queue.namespace}:*", count=1000)])
    keys.remove(queue.keys.stats.encode())
    pipe = client.pipeline(transaction=True)
    for key in keys:
        pipe.execute_command("DUMP", key)
    found: Whole = dict(zip(keys, await pipe.execute(), strict=True))
    for field, value in (await client.hgetall(queue.keys.stats)).items():
        found[b"stats|" + field] = value
    return found


async def _round(pair: Pair, at: int, rng: Random) -> Tally:
    count = rng.randint(1, 3)
    await pair.other.enqueue_many([NewJob("greet") for _ in range(count)])
    a, b = Lane(pair.a, f"a{at}"), Lane(pair.b, f"b{at}")
    await a.register()
    mine = await a.claim(count, token=f"ta{at}")
    await _lose(pair, a.wid, rng.choice(LOSSES))
    tally = Tally(rounds=1)
    await _haunt(pair, a, mine, rng, tally)  # queued again, and nobody has them yet
    await b.register()
    theirs = await b.claim(count, token=f"tb{at}")
    assert {job.id for job in theirs} == {job.id for job in mine}, "B has what A lost"
    await _haunt(pair, a, mine, rng, tally)
    outcome = rng.choice(("completed", "dead"))
    words = [await b.settle(job, outcome, result_json=b'"of B"', error_json=ERROR) for job in theirs]
    await _haunt(pair, a, mine, rng, tally)
    found = [await pair.other.get(job.id) for job in mine]
    tally.stands += words == ["ok"] * count and all(_is_of_b(job, b.wid, outcome) for job in found)
    await b.turn()
    assert await pair.b.deregister(b.wid) == "ok"
    return tally


def _is_of_b(job: Job, wid: str, outcome: str) -> bool:
    last = job.attempts[-1]
    done = (JobStatus.COMPLETED, "of B") if outcome == "completed" else (JobStatus.DEAD, None)
    return (job.status, job.result) == done and last.worker == wid


async def _lose(pair: Pair, wid: str, how: Loss) -> None:
    """A is stopped past its lease and reaped, or its supervisor takes it for dead."""
    if how != "lapsed":
        assert await pair.other.hand_back(wid, how, {"ended": "so it was thought"}) > 0
        return
    reaped: list[str] = []
    steps = LEASE_MS // 4_000 + 2  # a gap of more than 5 s would be taken for an outage
    for _ in range(steps * 2):
        reaped += await pair.other.reap()
        await move_clock(pair.other, 4_000)
    assert reaped == [wid], reaped


async def _haunt(pair: Pair, a: Lane, mine: list[Job], rng: Random, tally: Tally) -> None:
    """A does all that a worker does. Nothing of it may count, and nothing may change but the count of refusals."""
    before = await whole(pair.other)
    settlements = [
        Settlement(job.id, job.fence, rng.choice(OUTCOMES), b'"of A"', ERROR, rng.choice((0, 5_000)), "fa")
        for job in mine
    ]
    token = rng.choice((f"t{a.wid}", "new"))  # its last claim sent again, or a new one
    acts: list[tuple[Callable[[], Awaitable[Any]], Any]] = [
        (lambda: _settled(a, settlements), ["refused"] * len(mine)),
        (lambda: _progressed(a, mine), [False] * len(mine)),
        (lambda: _beaten(a), "gone"),
        (lambda: a.queue.renew(a.wid), ["gone"]),
        (lambda: _claimed(a, token), ("gone", 0)),
        (lambda: a.queue.deregister(a.wid), "gone"),
        (lambda: a.queue.hand_back(a.wid, "crashed", {}), -1),
    ]
    rng.shuffle(acts)
    for act, refusal in acts:
        tally.writes += 1
        tally.accepted += await act() != refusal
    after = await whole(pair.other)
    counter = b"stats|refused"
    before[counter] = b"%d" % (int(before.get(counter, 0)) + len(mine))
    tally.changed += after != before


async def _settled(a: Lane, settlements: list[Settlement]) -> list[str]:
    return (await a.queue.turn(Turn(a.wid, 0, "", 0, a.queues, settlements))).settled


async def _progressed(a: Lane, mine: list[Job]) -> list[bool]:
    return [await a.queue.progress(job.id, job.fence, '{"of":"A"}') for job in mine]


async def _beaten(a: Lane) -> str:
    return (await a.queue.beat(a.wid, {"state": "running"})).word


async def _claimed(a: Lane, token: str) -> tuple[str, int]:
    reply = await a.turn(5, token=token)
    return reply.word, len(reply.jobs)


async def _late(pair: Pair, at: int, rng: Random) -> bool:
    job = await pair.other.enqueue(NewJob("greet"))
    lane = await Lane(pair.a, f"a{at}").register()
    (mine,) = await lane.claim(1)
    await pair.other.reap()
    await move_clock(pair.other, LEASE_MS + rng.choice((6_000, 60_000, 3_600_000)))
    # Nobody reaped for a while, as when everything stood still: who comes back first must not take what others hold.
    reaped = await pair.other.reap()
    word = await lane.settle(mine, "completed", result_json=b"1")
    renewed = await pair.a.renew(lane.wid)
    found = await pair.other.get(job.id)
    await pair.a.deregister(lane.wid)
    accepted = (word, renewed, reaped) == ("ok", ["ok"], [])
    return accepted and found.status is JobStatus.COMPLETED and len(found.attempts) == 1
