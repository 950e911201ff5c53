"""A failed attempt as a settlement, whoever saw it fail: the worker that ran the job, or who ended that worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING

from ironforge.errors import JobNotFound
from ironforge.job import BackoffPolicy, Job, JobStatus
from ironforge.outcome import (
    Bury,
    NewerFormat,
    RetryIn,
    TimeLimitExceeded,
    after_newer_format,
    decide,
    describe,
    fingerprint,
)
from ironforge.queue.readings import Settlement, Turn
from ironforge.task import TaskRegistry
from ironforge.worker.board import SlotReading

if TYPE_CHECKING:
    from ironforge.queue.backend import RedisQueue

log = logging.getLogger("ironforge.worker")


def policies_of(tasks: TaskRegistry) -> dict[str, str]:
    """The back-off of each kind, as JSON: for a process that does not know the tasks."""
    return {task.kind: task.defaults.backoff.to_json() for task in tasks}


def settle_failure(job: Job, error: BaseException, policy: BackoffPolicy, rng: Random) -> Settlement:
    """What to tell Redis of a job that failed with this error; and says it in the log."""
    described = describe(error)
    mark = fingerprint(job.kind, error, described)
    about = {"job_id": job.id, "kind": job.kind, "error": f"{described.type}: {described.message[:200]}"}
    match decide(job, error, policy, rng):
        case RetryIn(delay_ms):
            log.warning("failed, retry %d/%d in %.1f s", job.retry_count + 1, job.max_retries, delay_ms / 1000, extra=about)  # fmt: skip
            return Settlement(job.id, job.fence, "retry", None, described.to_json(), delay_ms, mark)
        case Bury(reason):
            log.error("dead (%s)", reason, extra=about)
            return Settlement(job.id, job.fence, "dead", None, described.to_json(), 0, mark, reason)


def settle_newer(job: Job) -> Settlement:
    """Stored by a newer version, as during a rolling deploy: not read, not charged, left to a worker that can."""
    error, wait = NewerFormat(job.format), after_newer_format(job)
    about = {"job_id": job.id, "kind": job.kind}
    log.warning(
        "stored in a newer form (%d); released for %.1f s", job.format, wait.delay_ms / 1000, extra=about
    )
    return Settlement(job.id, job.fence, "released", None, describe(error).to_json(), wait.delay_ms)


async def fail_blocker(
    queue: RedisQueue, wid: str, blamed: SlotReading, stack: str, policies: Mapping[str, str]
) -> None:
    """A job that kept the loop of worker `wid` past its time fails: an ordinary attempt.

    Args:
        stack: where it was, as far as that is known.
        policies: back-off of each kind, as JSON.
    """
    try:
        job = await queue.get(blamed.job_id)
    except JobNotFound:
        return
    if job.status is not JobStatus.RUNNING or job.worker != wid:
        return
    error = TimeLimitExceeded(blamed.limit_s)
    error.add_note(f"it blocked its worker's loop\n{stack}")
    policy = BackoffPolicy.from_json(policies.get(job.kind, ""))
    await queue.turn(Turn(wid, 0, "", 0, (job.queue,), [settle_failure(job, error, policy, Random())]))
