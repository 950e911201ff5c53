"""Workers killed with SIGKILL in the middle of jobs: everything completes, nothing is twice in the books, the doctor agrees.

Handlers write to an append-only ledger, which no kill can change: the books are held against it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ironforge.job import Job, NewJob
from ironforge.queue.backend import RedisQueue
from tests.system.processes import (
    await_text,
    children_of,
    durable_redis,
    environment,
    ironforge,
    is_alive,
    running,
)
from tests.waiting import eventually, wait_until

JOBS = 400
LEASE_S = 15


@pytest.fixture
async def books(namespace: str) -> AsyncIterator[RedisQueue]:
    with durable_redis() as url:
        async with RedisQueue(url, namespace) as opened:
            yield opened


@pytest.fixture
def workers(books: RedisQueue, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two groups of two processes with five slots each."""
    (tmp_path / "ledger").touch()
    env = environment(books.url, books.namespace, LEDGER=str(tmp_path / "ledger"))
    command = ironforge("worker", "tests.system.tasks_forge:forge", "--processes", "2", "--concurrency", "5")
    with ExitStack() as stack:
        logs = [tmp_path / "a.log", tmp_path / "b.log"]
        started = [stack.enter_context(running(command, env, log)) for log in logs]
        for log in logs:
            await_text(log, "worker ready")
        wait_until(lambda: all(len(children_of(one.pid)) == 2 for one in started), 15, "all have children")
        yield started


def _doctor(queue: RedisQueue) -> str:
    """What it says of the books. It fails the test when it is not content."""
    done = subprocess.run(
        ironforge("doctor", "--json"),
        env=environment(queue.url, queue.namespace),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return next(check["detail"] for check in json.loads(done.stdout)["checks"] if check["name"] == "books")


def _marks(ledger: Path, word: str) -> Counter[int]:
    """How often each job's handler wrote the word."""
    lines = (line.split() for line in ledger.read_text().splitlines())
    return Counter(int(line[1]) for line in lines if line[0] == word)


async def test_kill_9_of_workers_in_the_middle_of_jobs(
    books: RedisQueue, workers: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    doomed, survivor = workers
    ledger = tmp_path / "ledger"
    jobs = await books.enqueue_many([NewJob("nap", b'{"mark":%d,"s":0.2}' % at) for at in range(JOBS)])

    await eventually(lambda: sum(_marks(ledger, "end").values()) >= 40, 20, "work goes on")
    killed = [children_of(group.pid)[0] for group in workers]
    for pid in killed:  # one process of each group: its supervisor sees it
        os.kill(pid, signal.SIGKILL)
    await eventually(
        lambda: all(len(set(children_of(one.pid)) - set(killed)) == 2 for one in workers), 20, "replaced"
    )

    await eventually(lambda: sum(_marks(ledger, "end").values()) >= 120, 20, "work goes on")
    lost = [doomed.pid, *children_of(doomed.pid)]
    for pid in lost:  # all of a group in one moment, as when a host dies: nobody sees it
        os.kill(pid, signal.SIGKILL)
    doomed.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in lost), 10, "they are gone")
    _doctor(books)  # jobs of a lease that still counts are no mistake

    async def all_completed() -> list[Job] | None:
        found = [job for job in await books.get_many([job.id for job in jobs]) if job]
        return found if all(job.status.value == "completed" for job in found) else None

    found = await eventually(all_completed, LEASE_S + 30, "every job completes")
    assert found and len(found) == JOBS
    _agrees_with(found, ledger)
    (reading,) = await books.read_queues()
    assert (reading.completed, reading.queued, reading.running, reading.dead) == (JOBS, 0, 0, 0)
    assert (await books.read_stats()).completed == {"nap": JOBS}
    assert {worker.supervisor_pid for worker in await books.workers()} == {survivor.pid}
    assert f"{JOBS} jobs and {JOBS} index entries" in _doctor(books)


def _agrees_with(found: list[Job], ledger: Path) -> None:
    starts, ends = _marks(ledger, "start"), _marks(ledger, "end")
    for mark, job in enumerate(found):
        losses = job.crashes + job.lapses
        assert [attempt.outcome for attempt in job.attempts].count("completed") == 1
        assert ends[mark] >= 1 and starts[mark] <= 1 + losses, f"{job.id} ran unbeknown to the books"
        assert job.retry_count == 0, "a loss spends no retry"
    assert any(job.crashes for job in found) and any(job.lapses for job in found)
    assert all(starts[mark] == ends[mark] == 1 for mark, job in enumerate(found) if len(job.attempts) == 1)
