"""The books in Redis, held against the ledger once everything has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ironforge.job import Job, JobStatus
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from tests.chaos.ledger import Ledger
from tests.chaos.pacing import all_row, count_row
from tests.chaos.scorecard import Row
from tests.waiting import eventually

_STEP = 500
_LOSSES = ("crashed", "lapsed", "released")


@dataclass(slots=True)
class Books:
    """Every acknowledged job as Redis has it at the end; None for one that is gone."""

    jobs: dict[str, Job | None]
    settled: dict[str, str]
    completed_total: int
    refused: int
    findings: list[str]

    def rows(self, ledger: Ledger, twice_at_most: float | None) -> list[Row]:
        """What every scenario asks: nothing lost, nothing twice in the books, each second run with its reason.

        Args:
            twice_at_most: share of the jobs that may have run more than once; None where it is only reported.
        """
        found = [job for job in self.jobs.values() if job]
        count = len(self.jobs)
        done = [job for job in found if _completed_once(job)]
        twice = [job for job in found if len(ledger.executions.get(job.id, ())) > 1]
        unexplained = [job for job in twice if len(ledger.executions[job.id]) > 1 + losses_of(job)]
        return [
            count_row("acknowledged jobs lost", count - len(found), count),
            all_row("completed exactly once in the books", len(done), count),
            all_row("completed_total in the statistics", self.completed_total, count),
            all_row("completions under a fence whose run ended in the ledger", self._true_ends(ledger), count),
            count_row("runs that began twice under one fence", len(ledger.repeated), _runs(ledger)),
            _twice_row(len(twice), count, twice_at_most),
            count_row("… without a loss in the books that explains it", len(unexplained), len(twice)),
            count_row("retries spent", sum(job.retry_count for job in found), count),
            Row("what the auditor finds", f"{len(self.findings):,} in {count:,} jobs", "0", not self.findings),
        ]  # fmt: skip

    def _true_ends(self, ledger: Ledger) -> int:
        """Completed jobs whose last fence belongs to a run that the handler saw to its end."""
        return sum(
            any(
                one.fence == self.settled.get(job_id) and one.ended
                for one in ledger.executions.get(job_id, ())
            )
            for job_id in self.jobs
        )


def _twice_row(twice: int, jobs: int, at_most: float | None) -> Row:
    share = twice / jobs if jobs else 0.0
    value = f"{twice:,} of {jobs:,} ({share:.2%})"
    if at_most is None:
        return Row("jobs that ran more than once", value)
    return Row("jobs that ran more than once", value, f"≤ {at_most:.1%}", share <= at_most)


def pid_of(worker: str) -> int:
    """Of a worker's id: `<host>-<pid>-<random>`."""
    return int(worker.rsplit("-", 2)[1])


def losses_of(job: Job) -> int:
    """Runs that ended with their worker: each allows one more."""
    released = sum(attempt.outcome == "released" for attempt in job.attempts)
    dead_before = 3 * job.generation  # an operator's retry clears the count of crashes
    return job.crashes + job.lapses + released + dead_before


def _completed_once(job: Job) -> bool:
    return (
        job.status is JobStatus.COMPLETED
        and sum(attempt.outcome == "completed" for attempt in job.attempts) == 1
        and all(attempt.outcome in (*_LOSSES, "completed") for attempt in job.attempts)
    )


def _runs(ledger: Ledger) -> int:
    return sum(len(known) for known in ledger.executions.values())


async def read_books(queue: RedisQueue, job_ids: Sequence[str]) -> Books:
    """Reads all of them, and has the auditor look at everything."""
    jobs: dict[str, Job | None] = {}
    settled: dict[str, str] = {}
    for at in range(0, len(job_ids), _STEP):
        step = job_ids[at : at + _STEP]
        jobs.update(zip(step, await queue.get_many(step), strict=True))
        pipe = queue.client.pipeline(transaction=False)
        for job_id in step:
            pipe.execute_command("HGET", queue.keys.job(job_id), "settled")
        fences = await pipe.execute()
        settled.update((job_id, fence.decode()) for job_id, fence in zip(step, fences, strict=True) if fence)
    stats = await queue.read_stats()
    findings = (await audit(queue)).findings
    return Books(
        jobs, settled, sum(stats.completed.values()), stats.others.get("refused", 0),
        [f"{one.rule}: {one.subject} {one.detail}" for one in findings],
    )  # fmt: skip


async def await_completed(queue: RedisQueue, jobs: int, timeout_s: float) -> bool:
    """Whether so many jobs are completed in time. Waits as long as none is dead that nobody retried."""

    async def all_ended() -> bool:
        readings = await queue.read_queues()
        return sum(one.completed + one.dead for one in readings) >= jobs

    try:
        await eventually(all_ended, timeout_s, "all jobs ended")
    except AssertionError:
        return False
    return True


async def retry_the_dead(queue: RedisQueue, books: Books) -> list[Job]:
    """Jobs that three of our kills hit are dead by contract; an operator's retry runs them. Returns these jobs."""
    dead = [
        job
        for job in books.jobs.values()
        if job and job.status is JobStatus.DEAD and job.reason == "worker_lost"
    ]
    for job in dead:
        await queue.retry(job.id)
    return dead
