"""Real processes on a namespace of several shards: a worker, one of its children killed, and the number of shards."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter
from tests.system.processes import await_text, children_of, environment, ironforge, running, stop
from tests.waiting import eventually, wait_until

JOBS = 120


async def test_a_worker_serves_queues_of_every_shard_and_survives_a_kill(
    queue: RedisQueue, one_each: list[str], redis_url: str, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "ledger").touch()
    env = environment(redis_url, namespace, LEDGER=str(tmp_path / "ledger"))
    command = ironforge(
        "worker", "tests.system.tasks_forge:forge", "--concurrency", "8", "--queues", ",".join(one_each)
    )
    with running(command, env, tmp_path / "worker.log") as worker:
        await_text(tmp_path / "worker.log", "worker ready")
        await queue.enqueue_many(
            [
                NewJob("nap", b'{"mark": 1, "s": 0.05}', queue=one_each[at % len(one_each)])
                for at in range(JOBS)
            ]
        )
        await eventually(lambda: _count(queue, JobStatus.COMPLETED, 10), 20, "some are completed")
        (child,) = wait_until(lambda: children_of(worker.pid), 10)
        os.kill(child, signal.SIGKILL)
        await eventually(lambda: _count(queue, JobStatus.COMPLETED, JOBS), 30, "all are completed")
        # A single late job: an idle worker hears the mark of any shard, long before its five seconds are over.
        for name in one_each:
            late = await queue.enqueue(NewJob("quick", queue=name))
            await eventually(lambda job_id=late.id: _is_completed(queue, job_id), 4, f"a wake in {name}")
        assert stop(worker) == 0
    assert (await queue.workers()) == []


async def test_a_server_asked_for_another_number_refuses_to_start(
    queue: RedisQueue, redis_url: str, namespace: str
) -> None:
    env = environment(redis_url, namespace, BIND_ADDR="127.0.0.1:0")
    for command in (ironforge("server", "--shards", "2"), ironforge("worker", "--shards", "2")):
        done = await asyncio.to_thread(_run, command, env)
        assert done.returncode == 1
        assert "split into 4 shards" in done.stderr and "Traceback" not in done.stderr


def _run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)


async def _count(queue: RedisQueue, status: JobStatus, least: int) -> bool:
    return ((await queue.list_jobs(JobFilter(status=status), limit=1)).total or 0) >= least


async def _is_completed(queue: RedisQueue, job_id: str) -> bool:
    return (await queue.get(job_id)).status is JobStatus.COMPLETED
