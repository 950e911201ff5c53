"""A Worker inside one's own program, and the small process that keeps its lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ironforge.embedded import find_server
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import check_books
from tests.redis_server import RedisServer
from tests.system.bench import Bench, ended, is_running
from tests.system.processes import (
    ROOT,
    await_text,
    children_of,
    environment,
    ironforge,
    is_alive,
    running,
    stop,
)
from tests.waiting import eventually, wait_until

PROGRAM = """
from ironforge import Worker
from {tasks} import forge

if __name__ == "__main__":
    Worker(forge, concurrency=4, shutdown_timeout_s=0.5, grace_s=0.5).run()
"""


@contextmanager
def _program(
    bench: Bench, ready: bool = True, tasks: str = "tests.system.tasks_forge"
) -> Iterator[subprocess.Popen[bytes]]:
    path, log = bench.folder / "program.py", bench.folder / "program.log"
    path.write_text(PROGRAM.format(tasks=tasks))
    log.touch()
    with running([sys.executable, str(path)], bench.env, log, cwd=ROOT) as program:
        if ready:
            await_text(log, "worker ready")
        yield program


def _log(bench: Bench) -> str:
    return (bench.folder / "program.log").read_text()


def _keeper(program: int) -> int | None:
    for pid in children_of(program):
        with suppress(OSError):  # it ended since
            if b"ironforge.worker.keeper" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return None


async def _nobody_is_left(queue: RedisQueue) -> None:
    """A program does not wait for its keeper for ever: that may take longer to hand back."""

    async def nobody() -> bool:
        return await queue.workers() == []

    await eventually(nobody, 10, "the registration is gone")


def _ignored(pid: int) -> set[int]:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")), 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


async def test_its_keeper_tells_nobody_the_address_and_ends_with_the_program(
    queue: RedisQueue, bench: Bench
) -> None:
    with _program(bench) as program:
        keeper = wait_until(lambda: _keeper(program.pid), 10, "it has a keeper")
        assert bench.env["REDIS_URL"].encode() not in Path(f"/proc/{keeper}/cmdline").read_bytes()
        wait_until(lambda: signal.SIGTERM in _ignored(keeper), 10, "the keeper is ready")
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(keeper, number)
        job = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":0.5}'))
        assert (await ended(queue, [job]))[0].status is JobStatus.COMPLETED
        assert is_alive(keeper), "it ends with its program only"
        program.kill()
        program.wait()
        wait_until(lambda: not is_alive(keeper), 10, "the keeper ended")
    await _nobody_is_left(queue)


async def test_its_lease_is_renewed_while_it_is_blocked(queue: RedisQueue, bench: Bench) -> None:
    with _program(bench, tasks="tests.worker.hard_tasks"):
        job = await queue.enqueue(NewJob("blocks", b'{"mark":1,"s":5.5}', timeout_ms=60_000))
        await eventually(lambda: bench.lines("start"), 10, "it blocks")
        (worker,) = await queue.workers()
        soon = await queue.now_ms() + 5_200
        await queue.client.zadd(queue.keys.workers, {worker.id: soon}, xx=True)
        (done,) = await ended(queue, [job], 15)
        assert (done.status, done.lapses, len(done.attempts)) == (JobStatus.COMPLETED, 0, 1)
        assert max(one.lease_s for one in await queue.workers()) > 5
    await check_books(queue)


async def test_at_its_death_its_jobs_go_back_at_once(queue: RedisQueue, bench: Bench) -> None:
    """Also when a copy of it, made by a handler, still holds the pipe to its keeper open."""
    with _program(bench, tasks="tests.worker.hard_tasks") as program:
        job = await queue.enqueue(NewJob("forks", b'{"mark":1}'))
        (line,) = await eventually(lambda: bench.lines("copy"), 10, "it made a copy of itself")
        copy = int(line[1])
        try:
            program.kill()
            program.wait()

            async def handed_back() -> bool:
                return (await queue.get(job.id)).status is JobStatus.QUEUED

            await eventually(handed_back, 8, "long before the lease would end")
            assert is_alive(copy)
        finally:
            os.kill(copy, signal.SIGKILL)
    found = await queue.get(job.id)
    assert (found.crashes, found.lapses, found.attempts[0].outcome) == (1, 0, "crashed")
    await check_books(queue)


async def test_a_third_signal_ends_the_program_at_once(queue: RedisQueue, bench: Bench) -> None:
    with _program(bench) as program:
        job = await queue.enqueue(NewJob("stubborn", b'{"mark":1}', timeout_ms=600_000))
        await is_running(queue, job)
        for words in ("stopping: running jobs may finish", "stopping now", ""):
            program.send_signal(signal.SIGTERM)
            await_text(bench.folder / "program.log", words)
        assert program.wait(5) in (0, 1)


def test_a_process_handler_that_cannot_be_found_again_is_refused(tmp_path: Path, bench: Bench) -> None:
    """By a Worker in one's own program, and by `ironforge worker`, with one sentence."""
    (tmp_path / "shop.py").write_text(HIDDEN)
    for command in ([sys.executable, "shop.py"], ironforge("worker", "shop:forge")):
        done = subprocess.run(
            command, cwd=tmp_path, env=bench.env, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode in (1, 2) and "must be at the top level of a module" in done.stderr
    assert "Traceback" not in done.stderr


HIDDEN = """
from ironforge import Forge, Worker
forge = Forge()

def make():
    @forge.task("hidden", process=True)
    def hidden() -> None: ...

make()
if __name__ == "__main__":
    Worker(forge).run()
"""


async def test_a_keeper_that_dies_is_replaced(queue: RedisQueue, bench: Bench) -> None:
    with _program(bench) as program:
        keeper = wait_until(lambda: _keeper(program.pid), 10, "it has a keeper")
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: _keeper(program.pid) not in (None, keeper), 10, "it has another")
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0
    await _nobody_is_left(queue)


async def test_with_its_registration_lost_it_goes_on_under_another(queue: RedisQueue, bench: Bench) -> None:
    """Whoever took it gave its jobs to others: the handlers here are cancelled meanwhile."""
    with _program(bench):
        job = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":1.5}'))
        await is_running(queue, job)
        (before,) = [worker.id for worker in await queue.workers()]
        assert await queue.hand_back(before, "ended", {}) == 1

        async def runs_again() -> bool:
            found = await queue.get(job.id)
            return found.worker not in (None, before) and len(bench.lines("start")) == 2

        await eventually(runs_again, 15, "the job runs under the new name")
        (done,) = await ended(queue, [job])
        assert [attempt.outcome for attempt in done.attempts] == ["released", "completed"]
        assert len(bench.lines("end")) == 1, "the first run did not go on"
        assert "Traceback" not in _log(bench)
    await check_books(queue)


async def test_a_handler_that_does_not_end_is_left_behind(queue: RedisQueue, bench: Bench) -> None:
    with _program(bench):
        job = await queue.enqueue(NewJob("stubborn", b'{"mark":1}', max_retries=0))
        (dead,) = await ended(queue, [job])
        assert dead.last_error and dead.last_error.type == "TimeLimitExceeded"
        after = await queue.enqueue_many([NewJob("quick", b'{"mark":%d}' % at) for at in range(4)])
        assert {one.status for one in await ended(queue, after)} == {JobStatus.COMPLETED}


async def test_one_that_is_blocked_past_the_time_of_its_job_loses_its_lease(
    queue: RedisQueue, bench: Bench
) -> None:
    """Nobody ends it: the job fails, the others run elsewhere, and when its loop turns again it goes on."""
    tasks = "tests.worker.hard_tasks"
    with _program(bench, tasks=tasks):
        neighbour = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":1}'))
        await is_running(queue, neighbour)
        blocker = await queue.enqueue(NewJob("blocks", b'{"mark":2,"s":9}', max_retries=1))
        (before,) = [worker.id for worker in await queue.workers()]

        async def shown() -> bool:
            blocked = [worker.blocked for worker in await queue.workers() if worker.blocked]
            return any(one["job_id"] == blocker.id and "in blocks" in one["stack"] for one in blocked)

        await eventually(shown, 10, "what blocks the program")

        async def failed() -> bool:
            return (await queue.get(blocker.id)).status is JobStatus.RETRYING

        await eventually(failed, 10, "it failed at its limit")
        found = await queue.get(blocker.id)
        assert found.last_error and found.last_error.type == "TimeLimitExceeded"
        assert "in blocks" in found.last_error.traceback and (found.crashes, found.lapses) == (0, 0)
        await queue.cancel(blocker.id)
        assert not bench.lines("end"), "it blocks on"
        elsewhere = bench.worker(target=f"{tasks}:forge")
        (done,) = await ended(queue, [neighbour], 10)
        assert [attempt.outcome for attempt in done.attempts] == ["released", "completed"]
        assert (done.retry_count, done.crashes, done.lapses) == (0, 0, 0)
        assert stop(elsewhere) == 0
        after = await queue.enqueue(NewJob("thread.quick", b'{"mark":3}'))
        assert (await ended(queue, [after], 20))[0].status is JobStatus.COMPLETED, "it goes on"
        assert before not in [worker.id for worker in await queue.workers()]
        assert "lost its lease" in _log(bench) and "Traceback" not in _log(bench)
        assert await queue.get(neighbour.id) == done
    await check_books(queue)


class TestOutage:
    """Its own Redis, to be killed."""

    @pytest.fixture
    def server(self) -> Iterator[RedisServer]:
        with tempfile.TemporaryDirectory(prefix="if-") as folder:
            server = RedisServer(
                Path(folder), str(find_server()[0]), "--appendonly", "yes", "--appendfsync", "always"
            )
            yield server
            server.stop()

    @pytest.fixture
    def bench(self, server: RedisServer, tmp_path: Path) -> Bench:
        bench = Bench(server.url, "programs", tmp_path)
        bench.env = environment(server.url, "programs", LEDGER=str(bench.ledger))
        return bench

    @pytest.fixture
    async def queue(self, server: RedisServer) -> AsyncIterator[RedisQueue]:
        async with RedisQueue(server.url, "programs") as queue:
            yield queue

    async def test_redis_away_at_its_begin_and_at_its_end(self, server: RedisServer, bench: Bench) -> None:
        with _program(bench, ready=False) as program:
            await_text(bench.folder / "program.log", "waiting for it")
            server.start()
            await_text(bench.folder / "program.log", "worker ready")
            async with RedisQueue(server.url, "programs") as queue:
                job = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":60}'))
                await is_running(queue, job)
            server.kill()
            program.send_signal(signal.SIGTERM)
            assert program.wait(20) == 0
            assert "Traceback" not in _log(bench)
            server.start()
            async with RedisQueue(server.url, "programs") as queue:

                async def given_back() -> bool:
                    found = await queue.get(job.id)
                    return found.status is JobStatus.QUEUED and (found.crashes, found.lapses) == (0, 0)

                await eventually(given_back, 15, "its keeper hands the job back")
                await check_books(queue)

    async def test_stopped_while_it_waits_for_redis(self, server: RedisServer, bench: Bench) -> None:
        with _program(bench, ready=False) as program:
            await_text(bench.folder / "program.log", "waiting for it")
            program.send_signal(signal.SIGTERM)
            assert program.wait(5) == 0
        assert "Traceback" not in _log(bench)
