"""From the members of a request to jobs for the queue: the only place where a job from outside is checked."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from ironforge.errors import Finding, InvalidJob
from ironforge.forge import request_hash
from ironforge.job import MAX_DELAY_S, MAX_PAYLOAD_BYTES, BackoffPolicy, Job, NewJob
from ironforge.json_exact import Members, read_object
from ironforge.queue.backend import RedisQueue
from ironforge.requests import JobIn, Request
from ironforge.server.problems import findings, invalid

RequestT = TypeVar("RequestT", bound=Request)


def checked(model: type[RequestT], values: dict[str, Any], what: str) -> RequestT:
    """The request as its model. Raises InvalidJob with a pointer for each mistake."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(what, findings(error.errors(include_url=False))) from None


def new_job(asked: JobIn, members: Members) -> NewJob:
    """The job as it is stored, its payload exactly as it came. Raises InvalidJob."""
    payload = members.raw("payload") if "payload" in members.values else b"{}"
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _wrong("/payload", f"is larger than {MAX_PAYLOAD_BYTES // 1024} KiB")
    if asked.delay_s is not None and asked.run_at is not None:
        raise _wrong("/run_at", "give either delay_s or run_at, not both")
    backoff = asked.backoff
    return NewJob(
        kind=asked.kind,
        payload_json=payload,
        queue=asked.queue,
        priority=asked.priority,
        max_retries=asked.max_retries,
        delay_ms=_ms(asked.delay_s),
        run_at_ms=None if asked.run_at is None else _instant_ms(asked.run_at),
        timeout_ms=None if asked.timeout_s is None else max(1, round(asked.timeout_s * 1000)),
        retention_ms=_ms(asked.retention_s),
        backoff=None if backoff is None else BackoffPolicy(backoff.base_s, backoff.cap_s, backoff.jitter),
        tags=tuple(asked.tags),
    )


async def submit(queue: RedisQueue, body: bytes, key: str | None) -> tuple[Job, bool]:
    """Accepts the job of a request's body, once per key where there is one.

    Returns:
        The job, and whether this very call made it.

    Raises:
        InvalidJob, IdempotencyConflict, JobRemoved, NotConfirmed, StoreUnavailable.
    """
    members = read_object(body)
    new = new_job(checked(JobIn, members.values, "the job"), members)
    if key is None:
        return await queue.enqueue(new), True
    return await queue.submit(new, key, request_hash(new))


def _instant_ms(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong("/run_at", "is no RFC 3339 instant, as 2026-11-24T06:00:00Z is") from None
    if at.tzinfo is None:
        raise _wrong("/run_at", "needs an offset from UTC, or Z")
    ms = round(at.timestamp() * 1000)
    if ms > (time.time() + MAX_DELAY_S) * 1000:
        raise _wrong("/run_at", "lies more than 1 year ahead")
    return max(0, ms)


def _wrong(pointer: str, detail: str) -> InvalidJob:
    found: list[Finding] = [{"pointer": pointer, "detail": detail}]
    return invalid("the job", found)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
