"""Tasks that a handler starts and does not wait for end with its job, and its worker says so."""

from __future__ import annotations

import asyncio
from contextvars import Context as Contextvars
from typing import Any

import pytest

from ironforge import Context, Forge
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import WorkerInfo
from ironforge.worker.crew import Crew, CrewOptions
from tests.system.bench import ended

FOREVER_S = 600


@pytest.fixture
async def forge(redis_url: str, namespace: str) -> Forge:
    return Forge(redis_url, namespace=namespace)


class Serving:
    """A worker in this loop, with handlers that the test sees into."""

    def __init__(self, queue: RedisQueue, forge: Forge, grace_s: float = 5.0) -> None:
        self.queue = queue
        self.crew = Crew(queue, "w", forge.tasks, CrewOptions(concurrency=4, grace_s=grace_s))

    async def __aenter__(self) -> Crew:
        assert await self.queue.register("w", WorkerInfo("h", 1, 1, "", ("default",), 4), lease_ms=60_000)
        self._task = asyncio.create_task(self.crew.serve())
        return self.crew

    async def __aexit__(self, *_: object) -> None:
        self.crew.stop()
        await self._task


async def _sleep_on(log: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        log.append(f"{name} cancelled")
        raise


async def test_those_left_behind_are_cancelled_before_the_job_is_settled(
    queue: RedisQueue, forge: Forge, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []
    left: list[asyncio.Task[None]] = []

    async def parent() -> None:
        left.append(asyncio.create_task(_sleep_on(log, "grandchild")))
        await _sleep_on(log, "child")

    @forge.task("leaves")
    async def leaves() -> str:  # pyright: ignore[reportUnusedFunction]
        left.append(asyncio.create_task(parent(), name="my background task"))
        await asyncio.sleep(0)
        return "done"

    async with Serving(queue, forge):
        (job,) = await ended(queue, [await queue.enqueue(NewJob("leaves"))])
        assert (job.status, job.result) == (JobStatus.COMPLETED, "done")
        assert sorted(log) == ["child cancelled", "grandchild cancelled"]
        assert all(task.done() for task in left)
    (warned,) = [record for record in caplog.records if "tasks behind" in record.getMessage()]
    assert warned.levelname == "WARNING" and warned.__dict__["job_id"] == job.id
    assert "my background task" in warned.__dict__["tasks"] and warned.__dict__["count"] == 2


async def test_those_that_ended_or_were_cancelled_are_no_reason_to_warn(
    queue: RedisQueue, forge: Forge, caplog: pytest.LogCaptureFixture
) -> None:
    @forge.task("tidy")
    async def tidy(ctx: Context) -> None:  # pyright: ignore[reportUnusedFunction]
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        asyncio.create_task(asyncio.Event().wait()).cancel()
        async with ctx.lock("door"):  # has a task of its own
            pass

    async with Serving(queue, forge):
        (job,) = await ended(queue, [await queue.enqueue(NewJob("tidy"))])
    assert job.status is JobStatus.COMPLETED
    assert "tasks behind" not in caplog.text


async def test_one_with_a_context_of_its_own_lives_on(queue: RedisQueue, forge: Forge) -> None:
    meant: list[asyncio.Task[Any]] = []

    @forge.task("starts")
    async def starts() -> None:  # pyright: ignore[reportUnusedFunction]
        meant.append(asyncio.create_task(asyncio.Event().wait(), context=Contextvars()))

    async with Serving(queue, forge):
        await ended(queue, [await queue.enqueue(NewJob("starts"))])
        assert not meant[0].done()
    meant[0].cancel()


async def test_what_others_enqueue_together_with_a_handler_does_not_end_with_it(
    queue: RedisQueue, forge: Forge
) -> None:
    """Calls of one tick share an exchange, which must not belong to the one that came first."""
    others: list[asyncio.Task[Any]] = []

    async def other() -> str:
        return (await queue.enqueue(NewJob("unknown", delay_ms=60_000))).id

    @forge.task("hasty")
    async def hasty() -> None:  # pyright: ignore[reportUnusedFunction]
        asyncio.create_task(queue.enqueue(NewJob("unknown", delay_ms=60_000)))  # noqa: RUF006
        others.append(asyncio.create_task(other(), context=Contextvars()))
        await asyncio.sleep(0)

    async with Serving(queue, forge):
        await ended(queue, [await queue.enqueue(NewJob("hasty"))])
        job_id = await others[0]
    assert (await queue.get(job_id)).status is JobStatus.SCHEDULED


async def test_one_that_ignores_its_cancellation_costs_its_worker(queue: RedisQueue, forge: Forge) -> None:
    free = asyncio.Event()

    async def deaf() -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                pass

    @forge.task("leaves")
    async def leaves() -> None:  # pyright: ignore[reportUnusedFunction]
        asyncio.create_task(deaf())  # noqa: RUF006
        await asyncio.sleep(0)

    async with Serving(queue, forge, grace_s=0.1) as crew:
        (job,) = await ended(queue, [await queue.enqueue(NewJob("leaves"))])
        assert job.status is JobStatus.COMPLETED
        assert crew.recycled, "nothing of it is left in a process that goes on"
        free.set()


async def test_the_loop_is_left_as_it_was_found(queue: RedisQueue, forge: Forge) -> None:
    loop = asyncio.get_running_loop()
    made: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        made.append("one")
        return asyncio.Task(coro, loop=loop, **options)

    loop.set_task_factory(factory)
    try:
        async with Serving(queue, forge):
            count = len(made)
            await asyncio.create_task(asyncio.sleep(0))
            assert len(made) > count, "the program's own factory stays in use"
        assert loop.get_task_factory() is factory
    finally:
        loop.set_task_factory(None)
