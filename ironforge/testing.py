"""For users' own tests: run what was submitted, here and now, against a real Redis.

    forge = Forge(namespace="test")            # the embedded server, or REDIS_URL

    async def test_signup_sends_a_mail():
        await sign_up("ada@example.com")
        (job,) = await drain(forge)
        assert job.kind == "email.send" and job.status == "completed"

A task can also be called like the function it is: `await send_email("ada@example.com")` needs no queue at all.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from ironforge.forge import Forge
from ironforge.job import Job, JobStatus
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter, QueueReading, WorkerInfo
from ironforge.worker.crew import Crew, CrewOptions

# A test that is being debugged must not lose its lease.
_LEASE_MS = 3_600_000
_ENDED = (JobStatus.COMPLETED, JobStatus.DEAD, JobStatus.CANCELLED)


@asynccontextmanager
async def running(
    forge: Forge, *, queues: Sequence[str] = ("default",), concurrency: int = 10
) -> AsyncGenerator[None]:
    """A worker in this loop for the time of the block.

    At its end running jobs may finish; when it ends by an error they are released at once.
    """
    queue = await forge.connect()
    wid = f"test-{os.getpid()}-{secrets.token_hex(3)}"
    info = WorkerInfo("test", os.getpid(), os.getpid(), "", tuple(queues), concurrency, forge.tasks.about())
    await queue.register(wid, info, _LEASE_MS)
    crew = Crew(queue, wid, forge.tasks, CrewOptions(concurrency, tuple(queues)))
    serving = asyncio.create_task(crew.serve())
    step = 2
    try:
        yield
        step = 1
    finally:
        crew.stop(step)
        try:
            await serving
        finally:
            await crew.abandon()
            await queue.hand_back(wid, "ended", {})


async def drain(forge: Forge, *, timeout_s: float = 30.0) -> list[Job]:
    """Runs everything that is ready, in all queues, until nothing is; scheduled and retrying jobs stay, and those
    of paused queues.

    Returns:
        The jobs that ended meanwhile, in the order of their submission.

    Raises:
        TimeoutError: something still ran or waited after `timeout_s`.
    """
    queue = await forge.connect()
    before = await _ended(queue)
    async with running(forge, queues=await queue.queue_names()), asyncio.timeout(timeout_s):
        while any(_is_busy(reading) for reading in await queue.read_queues()):
            await asyncio.sleep(0.01)
    after = await _ended(queue)
    found = [job for job_id, job in after.items() if before.get(job_id) != job]
    return sorted(found, key=lambda job: (job.created_ms, job.id))


def _is_busy(reading: QueueReading) -> bool:
    return bool(reading.running or (reading.queued and reading.paused_ms is None))


async def _ended(queue: RedisQueue) -> dict[str, Job]:
    found: dict[str, Job] = {}
    for status in _ENDED:
        cursor: str | None = None
        while True:
            page = await queue.list_jobs(JobFilter(status=status), cursor, 200)
            found.update((job.id, job) for job in page.jobs)
            cursor = page.next_cursor
            if cursor is None:
                break
    return found
