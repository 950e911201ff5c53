"""Many callers with the same key, or at the same dead job, at the same time: what each is told, and what came of it."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx

from ironforge.forge import Forge, request_hash
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Settlement, Turn, WorkerInfo

LEASE_MS = 600_000


@dataclass(slots=True)
class Submits:
    """Of many parallel submits under the same keys."""

    keys: int = 0
    submits: int = 0
    jobs: int = 0
    made: int = 0  # submits that were told that they made the job
    unequal: int = 0  # keys under which not all got the same id


async def submit_races(
    url: str, namespace: str, keys: int, times: int, tell: Callable[[str], None] | None = None
) -> Submits:
    """So many keys, each submitted so many times at once from several clients."""
    found = Submits()
    async with AsyncExitStack() as stack:
        queues = [await stack.enter_async_context(RedisQueue(url, namespace)) for _ in range(4)]
        for at in range(keys):
            key, payload = secrets.token_hex(8), b'{"n":%d}' % at
            hashed = request_hash(NewJob("mail", payload))
            answers = await asyncio.gather(
                *(queues[n % 4].submit(NewJob("mail", payload), key, hashed) for n in range(times))
            )
            found.keys += 1
            found.submits += times
            found.made += sum(made for _, made in answers)
            found.unequal += len({job.id for job, _ in answers}) != 1
            if tell and at % 100 == 99:
                tell(f"races: {at + 1} of {keys} keys")
        found.jobs = (await queues[0].read_queue("default")).queued
    return found


@dataclass(slots=True)
class Retries:
    """Of concurrent retries of dead jobs over HTTP: how often each number of successes came up, and other answers."""

    jobs: int
    successes: Counter[int]
    others: Counter[int]
    generations: Counter[int]
    queued: int


async def retry_races(app: httpx.ASGITransport, queue: RedisQueue, jobs: int, times: int) -> Retries:
    """Each of so many dead jobs is retried so many times at once; each call has an Idempotency-Key of its own."""
    ids = await _dead_jobs(queue, jobs)
    found = Retries(jobs, Counter(), Counter(), Counter(), 0)
    async with httpx.AsyncClient(transport=app, base_url="http://localhost:3000", timeout=60) as client:

        async def retry(job_id: str) -> int:
            key = {"Idempotency-Key": secrets.token_hex(8)}
            return (await client.post(f"/jobs/{job_id}/retry", headers=key)).status_code

        for at in range(0, jobs, 5):
            part = ids[at : at + 5]
            statuses = await asyncio.gather(*(retry(job_id) for _ in range(times) for job_id in part))
            for number, job_id in enumerate(part):
                mine = statuses[number :: len(part)]
                assert len(mine) == times, job_id
                found.successes[mine.count(200)] += 1
                found.others.update(status for status in mine if status != 200)
    found.generations.update(job.generation for job in await queue.get_many(ids) if job)
    found.queued = (await queue.read_queue("dead")).queued
    return found


async def _dead_jobs(queue: RedisQueue, count: int) -> list[str]:
    wid = "killer"
    await queue.register(wid, WorkerInfo("h", 1, 1, "0", ("dead",), 1), LEASE_MS)
    ids: list[str] = []
    while len(ids) < count:
        chunk = min(200, count - len(ids))
        await queue.enqueue_many([NewJob("mail", queue="dead", max_retries=0) for _ in range(chunk)])
        jobs = (await queue.turn(Turn(wid, 0, secrets.token_hex(6), chunk, ("dead",)))).jobs
        ends = [Settlement(job.id, job.fence, "dead", None, "{}", 0, "f1") for job in jobs]
        await queue.turn(Turn(wid, 0, "", 0, ("dead",), ends))
        ids += [job.id for job in jobs]
    return ids


def transport(forge: Forge) -> httpx.ASGITransport:
    from ironforge.server.app import create_app

    return httpx.ASGITransport(create_app(forge), raise_app_exceptions=False)
