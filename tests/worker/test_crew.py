"""One worker in the test's own loop: what it does when its registration is gone, and with handlers that end too late."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ironforge import Forge
from ironforge.context import Context
from ironforge.errors import LeaseLost
from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import WorkerInfo
from ironforge.worker import crew as under_test
from ironforge.worker.board import Board
from ironforge.worker.crew import Crew, CrewOptions
from ironforge.worker.processes import ProcessPool
from ironforge.worker.run import Run, Runner
from tests.queue.state import check_books
from tests.system.bench import ended
from tests.system.processes import is_alive
from tests.waiting import eventually


class Tasks:
    """Handlers that wait for the test."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self.forge = Forge(redis_url, namespace=namespace)
        self.go_on = asyncio.Event()
        self.begun = 0

        @self.forge.task("waits")
        async def waits() -> None:  # pyright: ignore[reportUnusedFunction]
            self.begun += 1
            await self.go_on.wait()

        @self.forge.task("deaf")
        async def deaf() -> str:  # pyright: ignore[reportUnusedFunction]
            """Swallows its cancellation."""
            self.begun += 1
            while not self.go_on.is_set():
                try:
                    await self.go_on.wait()
                except asyncio.CancelledError:
                    pass
            return "late"

        @self.forge.task("quick")
        async def quick() -> None:  # pyright: ignore[reportUnusedFunction]
            pass


@pytest.fixture
async def tasks(redis_url: str, namespace: str) -> AsyncIterator[Tasks]:
    tasks = Tasks(redis_url, namespace)
    yield tasks
    tasks.go_on.set()  # also after a failure: a loop is not closed before its tasks ended
    await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    queue: RedisQueue, forge: Forge, board: Board | None = None, wid: str = "w", **options: object
) -> AsyncIterator[tuple[Crew, asyncio.Task[None]]]:
    chosen = CrewOptions(**{"concurrency": 2, "grace_s": 0.2, "shutdown_timeout_s": 0.2, **options})  # type: ignore[arg-type]
    info = WorkerInfo("h", 1, 1, "", ("default",), chosen.concurrency)
    assert await queue.register(wid, info, lease_ms=60_000)
    crew = Crew(queue, wid, forge.tasks, chosen, board)
    task = asyncio.create_task(crew.serve())
    try:
        yield crew, task
    finally:
        crew.stop()
        await asyncio.gather(task, return_exceptions=True)
        await crew.abandon()


async def test_a_busy_worker_learns_by_its_beat_that_it_lost_its_lease(
    queue: RedisQueue, tasks: Tasks
) -> None:
    async with serving(queue, tasks.forge, concurrency=1) as (_, task):
        await queue.enqueue(NewJob("waits"))
        await eventually(lambda: tasks.begun, 5)
        await queue.hand_back("w", "ended", {})
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(asyncio.shield(task), 5)


async def test_an_idle_worker_learns_by_its_claim_that_it_lost_its_lease(
    queue: RedisQueue, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "BEAT_S", 600)
    async with serving(queue, tasks.forge) as (_, task):
        await ended(queue, [await queue.enqueue(NewJob("quick"))])
        await queue.hand_back("w", "ended", {})
        job = await queue.enqueue(NewJob("waits"))
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(asyncio.shield(task), 8)
    assert tasks.begun == 0 and (await queue.get(job.id)).status is JobStatus.QUEUED


async def test_what_a_stuck_handler_says_later_changes_nothing(
    queue: RedisQueue, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(queue, tasks.forge, concurrency=1) as (crew, task):
        job = await queue.enqueue(NewJob("deaf", timeout_ms=200, max_retries=0))
        (dead,) = await ended(queue, [job], 5)
        assert dead.last_error and dead.last_error.type == "TimeLimitExceeded" and crew.recycled
        (lane,) = crew._lanes  # pyright: ignore[reportPrivateUsage]
        assert lane.free == 0, "its slot is lost"
        await asyncio.wait_for(asyncio.shield(task), 10)  # without being asked
        tasks.go_on.set()
    gc.collect()  # an error of a task that nobody waits for would be told here
    assert await queue.get(job.id) == dead and dead.result is None
    assert "never retrieved" not in caplog.text and "too late" not in caplog.text
    await check_books(queue)


async def test_a_cancelled_handler_that_does_not_end_is_settled_after_the_grace(
    queue: RedisQueue, tasks: Tasks
) -> None:
    async with serving(queue, tasks.forge, shutdown_timeout_s=5) as (crew, _):
        job = await queue.enqueue(NewJob("deaf", timeout_ms=600_000))
        await eventually(lambda: tasks.begun, 5)
        await queue.cancel(job.id)
        (cancelled,) = await ended(queue, [job], 8)
        assert cancelled.status is JobStatus.CANCELLED and crew.recycled
        tasks.go_on.set()
    assert await queue.get(job.id) == cancelled
    await check_books(queue)


async def test_a_job_that_was_cancelled_before_its_handler_began_is_not_run(tasks: Tasks) -> None:
    runner = Runner(tasks.forge.tasks, None, ProcessPool())  # type: ignore[arg-type]
    job = Job("j", "waits", "default", JobStatus.RUNNING, fence="1:t")
    run = Run(job, 1, 10.0, 1.0, lambda run: Context(run.job))
    run.ask_to_stop("cancelled")
    settlement = await runner.run(run)
    assert (settlement.outcome, tasks.begun) == ("cancelled", 0)


async def test_a_result_that_comes_after_the_time_limit_is_not_kept(queue: RedisQueue, tasks: Tasks) -> None:
    """Within the grace: the handler swallowed its cancellation and returned."""

    @tasks.forge.task("tidies.up")
    async def tidies_up() -> str:  # pyright: ignore[reportUnusedFunction]
        try:
            await tasks.go_on.wait()
        except asyncio.CancelledError:
            pass
        return "as if nothing were"

    async with serving(queue, tasks.forge, grace_s=5):
        job = await queue.enqueue(NewJob("tidies.up", timeout_ms=200, max_retries=0))
        (dead,) = await ended(queue, [job], 5)
    assert (dead.status, dead.result) == (JobStatus.DEAD, None)


async def test_only_what_runs_is_on_the_page(queue: RedisQueue, tasks: Tasks) -> None:
    """What ended would be blamed for whatever blocks the loop later."""
    board = Board.make(4)
    async with serving(queue, tasks.forge, board, concurrency=4):
        waiting = await queue.enqueue_many([NewJob("waits") for _ in range(4)])
        await eventually(lambda: tasks.begun == 4, 5)
        assert {run.job_id for run in board.read().runs} == {job.id for job in waiting}
        tasks.go_on.set()
        await ended(queue, waiting)
        assert board.read().runs == ()
    board.close()


async def test_a_mark_that_a_leaving_worker_took_wakes_another(
    queue: RedisQueue, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both wait for it, and Redis gives it to the one that has waited longer."""
    monkeypatch.setattr(under_test, "LONGEST_SLEEP_S", 60)

    async def waiting(count: int) -> bool:
        return (await queue.client.info("clients"))["blocked_clients"] >= count

    async with serving(queue, tasks.forge, wid="leaving", shutdown_timeout_s=60) as (leaving, _):
        first = await queue.enqueue(NewJob("waits"))
        await eventually(lambda: tasks.begun, 5)
        await eventually(lambda: waiting(1), 5, "its other slot is idle")
        async with serving(queue, tasks.forge, wid="staying"):
            await eventually(lambda: waiting(2), 5)
            leaving.stop()
            await eventually(lambda: leaving.draining, 5)
            await ended(queue, [await queue.enqueue(NewJob("quick"))], 20)
            tasks.go_on.set()
            await ended(queue, [first])


async def test_processes_of_handlers_end_with_their_worker(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """In a program that goes on."""
    monkeypatch.setenv("LEDGER", os.devnull)
    from tests.system.tasks_forge import forge

    async with serving(queue, forge):
        (done,) = await ended(queue, [await queue.enqueue(NewJob("process.nap", b'{"mark":1}'))])
        assert is_alive(done.result)
    assert not is_alive(done.result)
