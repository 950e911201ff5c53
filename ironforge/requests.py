"""What is sent to the server. Unknown members are refused, and `"3"` is no number."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ironforge.job import (
    DEFAULT_MAX_RETRIES,
    DEFAULT_QUEUE,
    MAX_DELAY_S,
    MAX_MAX_RETRIES,
    MAX_TAGS,
    NAME_PATTERN,
    Priority,
)

MAX_BATCH = 10_000
MAX_KEY_CHARS = 200

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$", examples=["email.send"])]
Key = Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARS, pattern="^[!-~]*$")]
Tag = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
Seconds = Annotated[float, Field(gt=0, le=MAX_DELAY_S)]


class Request(BaseModel):
    """A body that is sent to the server: an unknown member is an error, and `"3"` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class BackoffIn(Request):
    """The wait before the n-th retry: min(cap_s, base_s × 2^(n-1)), plus at most `jitter` of it."""

    base_s: Seconds = 2.0
    cap_s: Seconds = 3600.0
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1


class JobIn(Request):
    """A job to accept. A kind that no live worker knows is accepted too: its worker may come later."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"kind": "email.send", "payload": {"to": "user@example.com"}, "priority": "high"}
        }
    )

    kind: Name = Field(description="The name of the task that is to run.")
    payload: dict[str, Any] = Field(
        default={}, description="Comes back, and reaches the handler, exactly as sent."
    )
    queue: Name = Field(default=DEFAULT_QUEUE, description="Made on first use.")
    priority: Annotated[Priority, Field(strict=False)] = Field(
        default=Priority.MEDIUM,
        description="Strict order within a queue; first in, first out within a priority.",
    )
    max_retries: int = Field(default=DEFAULT_MAX_RETRIES, ge=0, le=MAX_MAX_RETRIES)
    delay_s: float | None = Field(
        default=None, ge=0, le=MAX_DELAY_S, description="Run after so many seconds. Not together with run_at."
    )
    run_at: str | None = Field(
        default=None,
        max_length=64,
        description="Run at this instant, RFC 3339 with an offset or Z; at most 1 year ahead.",
    )
    timeout_s: Seconds | None = Field(
        default=None, description="Time limit of one attempt; default: the task's."
    )
    retention_s: Annotated[float, Field(ge=0, le=MAX_DELAY_S)] | None = Field(
        default=None, description="How long the job is kept after it completed; default: 24 h."
    )
    backoff: BackoffIn | None = Field(default=None, description="Default: 2 s, 4 s, 8 s … up to 1 h.")
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] = Field(default_factory=list[Tag])


class BatchJobIn(JobIn):
    """A job of a batch; `idempotency_key` does for it what the header does for a single one."""

    idempotency_key: Key | None = None


class BatchIn(Request):
    """Up to 10,000 jobs in one request, accepted in their order. A job that is refused does not stop the others."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "jobs": [
                    {"kind": "email.send", "payload": {"to": "user@example.com"}},
                    {"kind": "report.generate"},
                ]
            }
        }
    )

    jobs: Annotated[list[BatchJobIn], Field(max_length=MAX_BATCH)]


class RetryIn(Request):
    """How to retry. An empty body means the defaults."""

    reset_retry_count: bool = Field(default=True, description="Give the job all its retries again.")
    payload: dict[str, Any] | None = Field(
        default=None, description="A payload that differs makes a new job with `retry_of`; the old one stays."
    )
