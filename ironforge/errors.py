"""Every error IronForge raises on purpose.

IronForgeError
├── InvalidJob            422   a request that breaks a rule of the contract; `errors` holds JSON pointers
│   ├── InvalidPayload    422   the payload does not fit the handler's signature
│   └── UnknownTask       422   no handler is registered under that kind
├── JobNotFound           404   no job with that id (never existed, was deleted, or its retention ended)
├── QueueNotFound         404   no queue with that name
├── InvalidTransition     409   the job is not in a status that allows this
│   └── JobRunning        409   the job is running: cancel it instead
├── IdempotencyConflict   409   another request was made under the same Idempotency-Key
├── JobRemoved            410   the job of that Idempotency-Key was removed since
├── PayloadTooLarge       413   the body is larger than the limit
├── NotJson               415   the body is not application/json
├── Unauthorized          401   no token, or an unknown one
├── Forbidden             403   the token's role does not allow this, or the request came from elsewhere
├── StoreUnavailable      503   Redis is away, loading, busy, full, or does not answer in time
│   ├── StoreFull         503   Redis is out of memory: new jobs are refused, running ones can finish
│   └── NotConfirmed      503   written, but not confirmed by a replica in time: the jobs may exist
├── LeaseLost             409   the worker's registration was taken from it; its jobs run elsewhere
├── ConfigError                 a setting that makes no sense; commands exit 2
└── StartupError                something is missing for the start; commands exit 1

`Retry` and `Discard` are not errors of IronForge: a handler raises them to choose the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypedDict


class Finding(TypedDict):
    """One thing wrong with a request: where (JSON pointer) and what."""

    pointer: str
    detail: str


class IronForgeError(Exception):
    """Base class. `code` is stable API; the message is for people."""

    code: ClassVar[str] = "ironforge_error"
    status: ClassVar[int] = 500


class InvalidJob(IronForgeError):
    code = "invalid"
    status = 422

    def __init__(self, message: str, errors: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.errors: list[Finding] = list(errors)


class InvalidPayload(InvalidJob):
    code = "invalid_payload"


class UnknownTask(InvalidJob):
    code = "unknown_task"


class JobNotFound(IronForgeError):
    code = "job_not_found"
    status = 404

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}: it never existed, was deleted, or its retention ended")
        self.job_id = job_id


class QueueNotFound(IronForgeError):
    code = "queue_not_found"
    status = 404

    def __init__(self, queue: str) -> None:
        super().__init__(f"there is no queue {queue!r}")
        self.queue = queue


class InvalidTransition(IronForgeError):
    code = "invalid_transition"
    status = 409

    def __init__(self, job_id: str, found: str, wanted: str) -> None:
        super().__init__(f"job {job_id} is {found}; {wanted}")
        self.job_id = job_id
        self.found = found


class JobRunning(InvalidTransition):
    code = "job_running"

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, "running", "cancel it instead of deleting it")


class IdempotencyConflict(IronForgeError):
    code = "idempotency_conflict"
    status = 409

    def __init__(self, key: str) -> None:
        super().__init__(f"the idempotency key {key!r} was used for a different request")
        self.key = key


class JobRemoved(IronForgeError):
    code = "job_removed"
    status = 410

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id}, made under this idempotency key, was removed since")
        self.job_id = job_id


class PayloadTooLarge(IronForgeError):
    code = "payload_too_large"
    status = 413


class NotJson(IronForgeError):
    code = "not_json"
    status = 415


class Unauthorized(IronForgeError):
    code = "unauthorized"
    status = 401


class Forbidden(IronForgeError):
    code = "forbidden"
    status = 403


class StoreUnavailable(IronForgeError):
    """Redis is away or cannot answer now. The message never holds its address."""

    code = "redis_unavailable"
    status = 503


class StoreFull(StoreUnavailable):
    code = "redis_full"


class NotConfirmed(StoreUnavailable):
    """Jobs were written and no replica confirmed it in time. They may exist; a failover may still lose them."""

    code = "not_confirmed"

    def __init__(self, job_ids: Sequence[str]) -> None:
        one = len(job_ids) == 1
        super().__init__(
            f"{f'job {job_ids[0]}' if one else f'{len(job_ids):,} jobs'} reached Redis, but no replica confirmed it in "
            f"time: {'it' if one else 'they'} may exist. Send the request again under the same Idempotency-Key"
        )
        self.job_ids = list(job_ids)
        self.job_id = job_ids[0] if one else None


class LeaseLost(IronForgeError):
    code = "lease_lost"
    status = 409

    def __init__(self, worker: str) -> None:
        super().__init__(f"worker {worker} lost its lease; its jobs were given to others")
        self.worker = worker


class ConfigError(IronForgeError):
    code = "config"


class StartupError(IronForgeError):
    code = "startup"


class Retry(Exception):
    """Raised by a handler: try again later, counted as a retry.

    Args:
        delay_s: seconds until the next attempt; None uses the task's back-off.
        message: kept as the attempt's error message.
    """

    def __init__(self, delay_s: float | None = None, message: str = "") -> None:
        super().__init__(message or ("retry" if delay_s is None else f"retry in {delay_s:g} s"))
        if delay_s is not None and not 0 <= delay_s <= 366 * 86_400:
            raise ValueError("delay_s must lie between 0 and 1 year")
        self.delay_s = delay_s


class Discard(Exception):
    """Raised by a handler: this job can never succeed; it goes to the DLQ at once."""
