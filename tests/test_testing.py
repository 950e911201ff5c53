"""`ironforge.testing`, as users' tests use it, and a worker inside one's own program."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ironforge import Context, Forge, Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.testing import drain, running
from tests.queue.state import check_books
from tests.system.processes import ROOT, await_text, environment, is_alive
from tests.system.processes import running as process_running
from tests.waiting import eventually


async def test_drain_runs_what_is_ready_and_gives_what_ended(redis_url: str, queue: RedisQueue) -> None:
    async with Forge(redis_url, namespace=queue.namespace) as forge:

        @forge.task("add")
        async def add(ctx: Context, a: int, b: int = 1) -> int:
            assert ctx.job.kind == "add"
            return a + b

        @forge.task("break", max_retries=0)
        def broken() -> None:
            raise ValueError("no")

        assert await add(2) == 3, "called, it just runs"
        await add.enqueue(1)
        await add.options(queue="other", tags=("x",)).enqueue(5, b=5)
        await add.options(delay_s=60).enqueue(9)
        await broken.enqueue()
        jobs = await drain(forge)
        assert [(job.kind, job.status, job.result) for job in jobs] == [
            ("add", JobStatus.COMPLETED, 2), ("add", JobStatus.COMPLETED, 10), ("break", JobStatus.DEAD, None),
        ]  # fmt: skip
        assert await drain(forge) == []
    await check_books(queue)


async def test_drain_gives_jobs_as_they_were_submitted(redis_url: str, queue: RedisQueue) -> None:
    async with Forge(redis_url, namespace=queue.namespace) as forge:

        @forge.task("note")
        async def note(n: int) -> int:  # pyright: ignore[reportUnusedFunction]
            return n

        await forge.enqueue_many([("note", {"n": n}) for n in range(60)])
        assert [job.result for job in await drain(forge)] == list(range(60))


async def test_drain_leaves_paused_queues_and_says_what_does_not_end(
    redis_url: str, queue: RedisQueue
) -> None:
    async with Forge(redis_url, namespace=queue.namespace) as forge:

        @forge.task("wait", queue="slow")
        async def wait() -> None:
            await asyncio.Event().wait()

        held = await wait.options(queue="held").enqueue()
        await queue.pause("held")
        assert await drain(forge) == []
        endless = await wait.enqueue()
        with pytest.raises(TimeoutError):
            await drain(forge, timeout_s=0.3)
        for job in (held, endless):
            found = await queue.get(job.id)
            assert (found.status, found.retry_count) == (JobStatus.QUEUED, 0)
    assert await queue.workers() == []
    await check_books(queue)


class Everything:
    async def handle(self, job: Job) -> str:
        return f"{job.kind}:{job.payload.get('n')}"


async def test_one_handler_for_every_kind(redis_url: str, queue: RedisQueue) -> None:
    async with Forge(redis_url, namespace=queue.namespace) as forge:
        forge.handler(Everything())
        jobs = await forge.enqueue_many([("a.b", {"n": 1}), ("c.d", {"n": 2})])
        async with running(forge):
            await eventually(lambda: _completed(queue, len(jobs)))
        assert [job.result for job in await queue.get_many([job.id for job in jobs]) if job] == [
            "a.b:1",
            "c.d:2",
        ]


async def _completed(queue: RedisQueue, count: int) -> bool:
    return sum(reading.completed for reading in await queue.read_queues()) == count


async def test_the_synchronous_door(redis_url: str, queue: RedisQueue) -> None:
    forge = Forge(redis_url, namespace=queue.namespace)
    job = forge.sync.enqueue("greet", {"name": "Ada"})
    assert forge.sync.get(job.id) == job
    assert len(forge.sync.enqueue_many([("greet", {}), ("greet", {})])) == 2
    forge.sync.close()
    assert (await queue.read_queue("default")).queued == 3


PROGRAM = """
import asyncio
from ironforge import Forge, Worker
forge = Forge()

@forge.task("wait")
async def wait(s: float) -> str:
    await asyncio.sleep(s)
    return "done"

if __name__ == "__main__":
    Worker(forge, concurrency=2, shutdown_timeout_s=5).run()
"""


def _program(folder: Path) -> list[str]:
    path = folder / "program.py"
    path.write_text(PROGRAM)
    return [sys.executable, str(path)]


async def test_a_worker_in_ones_own_program_stops_on_sigterm(
    queue: RedisQueue, redis_url: str, tmp_path: Path
) -> None:
    env = environment(redis_url, queue.namespace)
    job = await queue.enqueue(NewJob("wait", b'{"s":0.5}'))
    with process_running(_program(tmp_path), env, tmp_path / "log", cwd=ROOT) as program:
        await eventually(lambda: _runs(queue, job), 15)
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0
    assert (await queue.get(job.id)).result == "done"
    assert await queue.workers() == []


async def test_killed_its_keeper_hands_the_jobs_back_at_once(
    queue: RedisQueue, redis_url: str, tmp_path: Path
) -> None:
    env = environment(redis_url, queue.namespace)
    job = await queue.enqueue(NewJob("wait", b'{"s":30}'))
    with process_running(_program(tmp_path), env, tmp_path / "log", cwd=ROOT) as program:
        await_text(tmp_path / "log", "worker ready")
        await eventually(lambda: _runs(queue, job), 15)
        keepers = _keepers(queue.namespace)
        program.kill()
        program.wait()
        await eventually(lambda: _crashed(queue, job), 5, "its job is back")
    await eventually(lambda: not any(is_alive(pid) for pid in keepers), 10, "the keeper ended")
    await check_books(queue)


async def _runs(queue: RedisQueue, job: Job) -> bool:
    return (await queue.get(job.id)).status is JobStatus.RUNNING


async def _crashed(queue: RedisQueue, job: Job) -> bool:
    found = await queue.get(job.id)
    return found.status is JobStatus.QUEUED and found.crashes == 1


def _keepers(namespace: str) -> list[int]:
    listed = subprocess.run(
        ["pgrep", "-f", f"keeper.*{namespace}"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in listed.stdout.split()]
