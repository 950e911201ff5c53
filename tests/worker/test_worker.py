"""What a Worker in one's own program refuses, and what its handlers may ask of their context."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge import Forge, Worker
from ironforge.context import Context
from ironforge.errors import ConfigError
from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.worker.loading import load_forge
from tests.redis_server import RedisServer, private_redis
from tests.system.bench import ended
from tests.system.processes import ROOT, environment
from tests.waiting import eventually
from tests.worker.test_crew import serving


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One that keeps its data, to be killed."""
    with private_redis("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


def test_a_worker_that_could_run_nothing_is_refused(redis_url: str) -> None:
    with pytest.raises(ConfigError, match="concurrency"):
        Worker(Forge(redis_url), concurrency=0)
    with pytest.raises(ConfigError, match="queue"):
        Worker(Forge(redis_url), queues=())


async def test_a_handler_for_every_kind(queue: RedisQueue, redis_url: str) -> None:
    class Handles:
        async def handle(self, job: Job) -> str:
            return job.kind

    forge = Forge(redis_url, namespace=queue.namespace)
    worker = Worker(forge, handler=Handles(), concurrency=1)
    serving_it = asyncio.create_task(worker.serve())
    (done,) = await ended(queue, [await queue.enqueue(NewJob("whatever.it.is"))], 20)
    worker.stop()
    await asyncio.wait_for(serving_it, 20)
    await forge.aclose()
    assert (done.status, done.result) == (JobStatus.COMPLETED, "whatever.it.is")


async def test_a_lock_in_a_process_handler_is_refused() -> None:
    with pytest.raises(RuntimeError, match="not there in process handlers"):
        async with Context(Job("j", "k", "q", JobStatus.RUNNING)).lock("name"):
            raise AssertionError("it was held")


async def test_a_lock_that_cannot_be_released_is_no_error_of_the_job(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job("j", "k", "q", JobStatus.RUNNING)
    async with RedisQueue(server.url, "locks") as queue, Context(job, queue).lock("name", ttl_s=60):
        server.kill()
    assert "could not be released" in caplog.text


async def test_progress_told_while_redis_is_away_is_shown_when_it_is_back(server: RedisServer) -> None:
    """The newest of it."""
    forge, told, go_on = Forge(server.url, namespace="progress"), asyncio.Event(), asyncio.Event()

    @forge.task("steps")
    async def steps(ctx: Context) -> None:  # pyright: ignore[reportUnusedFunction]
        told.set()
        await go_on.wait()
        ctx.progress(0.1)
        await asyncio.wait(
            {asyncio.get_running_loop().create_future()}, timeout=0.6
        )  # in which the first is tried
        ctx.progress(0.7)
        await asyncio.Event().wait()

    async with RedisQueue(server.url, "progress") as queue, serving(queue, forge, shutdown_timeout_s=0):
        job = await queue.enqueue(NewJob("steps"))
        await asyncio.wait_for(told.wait(), 5)
        server.kill()
        go_on.set()
        await asyncio.sleep(0)
        started = asyncio.get_running_loop().time()
        await eventually(lambda: asyncio.get_running_loop().time() - started > 1.2, 5, "both were told")
        await asyncio.to_thread(server.start)

        async def shown() -> bool:
            return b"0.7" in ((await queue.get(job.id)).progress_json or b"")

        await eventually(shown, 8, "the newest progress is there")
    await forge.aclose()


def test_a_module_is_found_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_shop_of_this_test.py").write_text("from ironforge import Forge\nforge = Forge()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    assert isinstance(load_forge("a_shop_of_this_test:forge"), Forge)
    assert sys.path[0] == str(tmp_path)
    load_forge("a_shop_of_this_test:forge")
    assert sys.path.count(str(tmp_path)) == 1


def test_a_handlers_process_starts_whatever_its_settings_are(redis_url: str, namespace: str) -> None:
    """They were good enough for its worker."""
    code = "from ironforge.worker import process_main as p; p._configure_logs(); print('ready')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(redis_url, namespace, IRONFORGE_LOG="no such level"),
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout == "ready\n", done.stderr
