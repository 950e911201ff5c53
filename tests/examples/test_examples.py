"""Each example as a user runs it: its own process, a real Redis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ironforge.job import JobStatus
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter
from tests.system.processes import ROOT, await_text, environment, ironforge, running
from tests.waiting import eventually

EXAMPLES = ROOT / "examples"


def _run(name: str, env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, name, *words], cwd=EXAMPLES, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def _completed(queue: RedisQueue, count: int) -> None:
    async def all_done() -> bool:
        return sum(reading.completed for reading in await queue.read_queues()) == count

    await eventually(all_done, 30, f"{count} jobs complete")


async def test_a_simple_worker_runs_what_was_submitted(
    queue: RedisQueue, redis_url: str, tmp_path: Path
) -> None:
    env = environment(redis_url, queue.namespace)
    with running([sys.executable, "simple_worker.py"], env, tmp_path / "worker.log", cwd=EXAMPLES):
        shown = _run("submit_jobs.py", env)
        assert shown.count(" greet ") == 4 and "scheduled" in shown
        await _completed(queue, 4)
    assert "Hello, Linus!" in (tmp_path / "worker.log").read_text()


@pytest.mark.parametrize("form", ["script", "command"])
async def test_a_routing_worker_runs_a_batch(
    queue: RedisQueue, redis_url: str, tmp_path: Path, form: str
) -> None:
    env = environment(redis_url, queue.namespace)
    command = [sys.executable, "routing_worker.py"]
    if form == "command":
        command = ironforge("worker", "routing_worker:forge", "--concurrency", "50")
    with running(command, env, tmp_path / "worker.log", cwd=EXAMPLES):
        await_text(tmp_path / "worker.log", "worker ready")
        from ironforge.job import NewJob

        unknown = await queue.enqueue(NewJob("fax.send"))
        sms = await queue.enqueue(NewJob("sms.send", b'{"to":"+491"}'))
        await _completed(queue, 2)
        assert "unknown job type" in (tmp_path / "worker.log").read_text()
        assert (await queue.get(unknown.id)).status is JobStatus.COMPLETED
        assert (await queue.get(sms.id)).result == {"sent_to": "+491"}
        if form == "command":
            assert "1000 jobs accepted" in _run("batch_submit.py", env)
            await _completed(queue, 1002)
    page = await queue.list_jobs(JobFilter(status=JobStatus.COMPLETED), None, 1)
    assert page.total == (1002 if form == "command" else 2)


def test_the_benchmark(redis_url: str, namespace: str) -> None:
    shown = _run("benchmark.py", environment(redis_url, namespace), "--jobs", "100")
    assert "jobs/s" in shown and "p99" in shown and "critical first, in order" in shown


def test_every_example_is_run_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert path.name in tests or f"{path.stem}:forge" in tests, path.name
