"""A failed attempt as a settlement, whoever saw it fail: the worker that ran the job, or the supervisor that ended it."""

from __future__ import annotations

import logging
from random import Random

from ironforge.job import BackoffPolicy, Job
from ironforge.outcome import Bury, RetryIn, decide, describe, fingerprint
from ironforge.queue.readings import Settlement

log = logging.getLogger("ironforge.worker")


def settle_failure(job: Job, error: Exception, policy: BackoffPolicy, rng: Random) -> Settlement:
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
