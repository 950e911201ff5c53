"""Workers on the test's namespace as processes, the ledger their handlers write, and what tests wait for."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

from ironforge.job import Job, JobStatus
from ironforge.queue.backend import RedisQueue
from tests.system.processes import ROOT, await_text, environment, ironforge, running
from tests.waiting import eventually

TARGET = "tests.system.tasks_forge:forge"


class Bench:
    """Starts workers on the test's namespace, and reads what handlers wrote."""

    def __init__(self, redis_url: str, namespace: str, folder: Path) -> None:
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.folder = folder
        self.env = environment(redis_url, namespace, LEDGER=str(self.ledger))
        self._stack = ExitStack()
        self._count = 0

    def worker(self, *words: str, target: str = TARGET, ready: bool = True) -> subprocess.Popen[bytes]:
        """A worker, ready unless it is not to be waited for; its log is `w<n>.log`."""
        self._count += 1
        log = self.folder / f"w{self._count}.log"
        log.touch()
        process = self._stack.enter_context(
            running(ironforge("worker", target, *words), self.env, log, cwd=ROOT)
        )
        if ready:
            await_text(log, "worker ready")
        return process

    def log(self, number: int = 1) -> str:
        return (self.folder / f"w{number}.log").read_text()

    def lines(self, word: str) -> list[list[str]]:
        return [line.split() for line in self.ledger.read_text().splitlines() if line.startswith(word + " ")]

    def close(self) -> None:
        self._stack.close()


async def ended(queue: RedisQueue, jobs: list[Job], timeout_s: float = 30) -> list[Job]:
    """The jobs, once all of them completed, died or were cancelled."""

    async def all_ended() -> list[Job] | None:
        found = [job for job in await queue.get_many([job.id for job in jobs]) if job]
        ends = (JobStatus.COMPLETED, JobStatus.DEAD, JobStatus.CANCELLED)
        return found if all(job.status in ends for job in found) else None

    all_found = await eventually(all_ended, timeout_s, f"{len(jobs)} jobs ended")
    assert all_found
    return all_found


async def is_running(queue: RedisQueue, job: Job) -> None:
    async def runs() -> bool:
        return (await queue.get(job.id)).status is JobStatus.RUNNING

    await eventually(runs, 15, "the job runs")


def times(jobs: list[Job], outcome: str) -> list[int]:
    return [sum(attempt.outcome == outcome for attempt in job.attempts) for job in jobs]
