"""A worker whose registration is gone: given away by others, or lost by Redis with everything else."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge.embedded import find_server
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import check_books
from tests.redis_server import RedisServer, private_redis
from tests.system.bench import Bench, ended, is_running
from tests.system.processes import children_of, is_alive
from tests.waiting import eventually, wait_until


async def test_a_child_whose_lease_was_taken_is_replaced_and_nobody_is_charged(
    queue: RedisQueue, bench: Bench
) -> None:
    supervisor = bench.worker()
    job = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":60}'))
    await is_running(queue, job)
    (worker,) = await queue.workers()
    (child,) = children_of(supervisor.pid)
    assert await queue.hand_back(worker.id, "ended", {}) == 1
    wait_until(lambda: not is_alive(child), 10, "the child ended: its jobs belong to others")

    async def runs_again() -> bool:
        found = await queue.get(job.id)
        return found.status is JobStatus.RUNNING and found.worker != worker.id

    await eventually(runs_again, 15, "the job runs in the next child")
    found = await queue.get(job.id)
    assert (found.crashes, found.lapses, found.retry_count) == (0, 0, 0)
    assert not bench.lines("end"), "the first run did not go on"
    assert "Traceback" not in bench.log() and "died" not in bench.log(), "it was no crash"
    await queue.cancel(job.id)
    await ended(queue, [job])
    await check_books(queue)


async def test_a_result_that_comes_after_the_job_was_given_away_changes_nothing(
    queue: RedisQueue, bench: Bench
) -> None:
    """A child that is stopped like a suspended machine: it wakes up, settles, and is refused."""
    supervisor = bench.worker()
    job = await queue.enqueue(NewJob("thread.nap", b'{"mark":1,"s":2}'))
    await eventually(lambda: len(bench.lines("start")) == 1, 15, "it runs")
    (worker,) = await queue.workers()
    (child,) = children_of(supervisor.pid)
    os.kill(child, signal.SIGSTOP)
    os.kill(supervisor.pid, signal.SIGSTOP)
    try:
        assert await queue.hand_back(worker.id, "ended", {}) == 1
        bench.worker()
        (found,) = await ended(queue, [job], 20)
    finally:
        os.kill(child, signal.SIGCONT)
        os.kill(supervisor.pid, signal.SIGCONT)
    assert [attempt.outcome for attempt in found.attempts] == ["released", "completed"]
    wait_until(lambda: not is_alive(child), 15, "the first child noticed")
    assert await queue.get(job.id) == found
    await check_books(queue)


@pytest.fixture
def forgetful() -> Iterator[RedisServer]:
    """Keeps nothing over a restart."""
    with private_redis() as server:
        yield server


async def test_a_redis_that_came_back_empty_is_served_again(forgetful: RedisServer, tmp_path: Path) -> None:
    bench = Bench(forgetful.url, "forgetful", tmp_path)
    try:
        bench.worker("--allow-unsafe-redis")
        async with RedisQueue(forgetful.url, "forgetful") as queue:
            await queue.enqueue(NewJob("nap", b'{"mark":1,"s":60}'))
            await eventually(lambda: bench.lines("start"), 15, "it runs")
        forgetful.kill()
        forgetful.start()
        async with RedisQueue(forgetful.url, "forgetful") as queue:
            job = await queue.enqueue(NewJob("quick"))
            assert (await ended(queue, [job], 25))[0].status is JobStatus.COMPLETED
            assert len(await queue.workers()) == 1
        assert "Traceback" not in bench.log()
    finally:
        bench.close()


async def test_a_process_that_dies_while_redis_is_away_is_told_of_when_it_is_back(tmp_path: Path) -> None:
    """Its jobs are charged with a crash, which was seen, and do not wait for a lease to end."""
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(
            Path(folder), str(find_server()[0]), "--appendonly", "yes", "--appendfsync", "always"
        )
        server.start()
        bench = Bench(server.url, "away", tmp_path)
        try:
            supervisor = bench.worker("--allow-unsafe-redis")
            async with RedisQueue(server.url, "away") as queue:
                job = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":1}'))
                await is_running(queue, job)
            (child,) = children_of(supervisor.pid)
            server.kill()
            os.kill(child, signal.SIGKILL)
            wait_until(lambda: child not in children_of(supervisor.pid), 10, "its death was seen")
            server.start()
            async with RedisQueue(server.url, "away") as queue:
                (done,) = await ended(queue, [job], 15)
                assert (done.status, done.crashes, done.lapses) == (JobStatus.COMPLETED, 1, 0)
                assert done.attempts[0].error and "SIGKILL" in done.attempts[0].error.message
        finally:
            bench.close()
            server.stop()
