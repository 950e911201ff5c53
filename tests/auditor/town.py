"""A namespace with something of everything, and what can go wrong in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, dead_job


@dataclass(slots=True)
class Town:
    """Healthy books: a job of every status in queue default, jobs of a paused queue, suspects, claims, records, locks."""

    queue: RedisQueue
    lane: Lane
    ids: dict[str, str] = field(default_factory=dict[str, str])

    def job(self, name: str) -> str:
        return self.queue.keys.job(self.ids[name])

    def index(self, part: str, queue: str = "default") -> str:
        return self.queue.keys.index(queue, part)


async def build(queue: RedisQueue) -> Town:
    lane = await Lane(queue).register(60_000)
    town = Town(queue, lane)
    town.ids["dead"] = (await dead_job(queue, lane)).id
    for _ in range(12):  # more attempts than are kept
        await queue.retry(town.ids["dead"], reset_retry_count=False)
        (again,) = await lane.claim(1)
        await lane.settle(again, "dead", error_json=ERROR, fingerprint="f1")
    jobs = await queue.enqueue_many([NewJob("greet") for _ in range(6)])
    completed, retrying, running, stopping = await lane.claim(4)
    await lane.settle(completed, "completed")
    await lane.settle(retrying, "retry", error_json=ERROR, delay_ms=600_000, fingerprint="f")
    await queue.cancel(stopping.id)
    await queue.cancel(jobs[5].id)
    scheduled = await queue.enqueue(NewJob("greet", delay_ms=600_000))
    town.ids |= {
        "completed": completed.id, "retrying": retrying.id, "running": running.id, "stopping": stopping.id,
        "queued": jobs[4].id, "cancelled": jobs[5].id, "scheduled": scheduled.id,
        "suspect": await _suspect(queue), "paused": (await queue.enqueue(NewJob("greet", queue="mail"))).id,
    }  # fmt: skip
    await queue.pause("mail")
    job, _ = await queue.submit(NewJob("greet", queue="mail"), "key-1", "hash")
    town.ids["submitted"] = job.id
    await queue.client.set(queue.keys.prefix + "lock:door", "token", px=60_000)
    await queue.take_tick("reap", 60_000)
    return town


async def _suspect(queue: RedisQueue) -> str:
    """A job that saw two crashes, in a queue of its own."""
    job = await queue.enqueue(NewJob("greet", queue="poison"))
    for wid in ("p1", "p2"):
        lane = await Lane(queue, wid, ("poison",)).register()
        assert len(await lane.claim(1)) == 1
        await queue.hand_back(wid, "crashed", {})
    return job.id


Damage = Callable[[Town], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Plant:
    """One thing that goes wrong.

    Attributes:
        rule: by which it is named.
        subject: of the finding: a name in `Town.ids`, or itself.
        repaired: it is gone after a repair; else it stays, untouched, for a person.
        loses: names of jobs whose hash the damage itself removed.
    """

    name: str
    rule: str
    subject: str
    damage: Damage
    repaired: bool = True
    loses: tuple[str, ...] = ()


async def every_key(queue: RedisQueue) -> dict[bytes, tuple[bytes, bool]]:
    """Each key's content, and whether it ends by itself."""
    keys = [key async for key in queue.client.scan_iter(f"{queue.namespace}:*")]
    pipe = queue.client.pipeline(transaction=False)
    for key in keys:
        pipe.execute_command("DUMP", key)
        pipe.execute_command("PTTL", key)
    found = await pipe.execute()
    return {key: (found[at * 2], found[at * 2 + 1] >= 0) for at, key in enumerate(keys)}
