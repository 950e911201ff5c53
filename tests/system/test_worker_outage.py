"""Redis goes away under a worker, and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import check_books
from tests.redis_server import RedisServer, private_redis
from tests.system.bench import Bench
from tests.system.processes import is_alive, stop
from tests.waiting import eventually, wait_until


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One that keeps its data, to be killed."""
    with private_redis("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture
async def queue(server: RedisServer) -> AsyncIterator[RedisQueue]:
    async with RedisQueue(server.url, "outage") as queue:
        yield queue


@pytest.fixture
def bench(server: RedisServer, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(server.url, "outage", tmp_path)
    yield bench
    bench.close()


async def test_what_ran_meanwhile_is_settled_when_redis_is_back(
    queue: RedisQueue, bench: Bench, server: RedisServer
) -> None:
    supervisor = bench.worker("--concurrency", "4")
    jobs = await queue.enqueue_many([NewJob("nap", b'{"mark":%d,"s":0.5}' % at) for at in range(12)])
    await eventually(lambda: len(bench.lines("start")) >= 4, 15)
    server.kill()
    await eventually(lambda: len(bench.lines("end")) >= 4, 15, "handlers go on without Redis")
    assert is_alive(supervisor.pid)
    server.start()

    async def all_completed() -> bool:
        return all(
            job and job.status is JobStatus.COMPLETED
            for job in await queue.get_many([job.id for job in jobs])
        )

    await eventually(all_completed, 30, "all jobs complete")
    found = await queue.get_many([job.id for job in jobs])
    assert all(job and len(job.attempts) == 1 and job.crashes == 0 and job.lapses == 0 for job in found)
    assert len(bench.lines("start")) == 12, "none ran twice"
    assert "Traceback" not in bench.log() and "waiting for it" in bench.log()
    assert stop(supervisor) == 0
    await check_books(queue)


async def test_an_idle_worker_picks_up_work_after_an_outage(
    queue: RedisQueue, bench: Bench, server: RedisServer
) -> None:
    bench.worker()
    server.kill()
    wait_until(lambda: "waiting for it" in bench.log(), 15, "the worker says that it waits")
    server.start()
    job = await queue.enqueue(NewJob("quick"))

    async def completed() -> bool:
        return (await queue.get(job.id)).status is JobStatus.COMPLETED

    await eventually(completed, 12, "the job completes")
    assert "Traceback" not in bench.log()


async def test_a_worker_stops_in_time_though_redis_is_away(
    queue: RedisQueue, bench: Bench, server: RedisServer
) -> None:
    supervisor = bench.worker("--shutdown-timeout", "1")
    await queue.enqueue(NewJob("nap", b'{"mark":1,"s":60}'))
    await eventually(lambda: len(bench.lines("start")) == 1, 15)
    server.kill()
    stop(supervisor, timeout_s=15)
    assert "Traceback" not in bench.log()


async def test_started_before_redis_it_waits(queue: RedisQueue, bench: Bench, server: RedisServer) -> None:
    from tests.system.processes import ROOT, await_text, ironforge, running

    server.kill()
    log = bench.folder / "early.log"
    log.touch()
    with running(ironforge("worker", "tests.system.tasks_forge:forge"), bench.env, log, cwd=ROOT):
        await_text(log, "waiting for it")
        server.start()
        await_text(log, "worker ready")
