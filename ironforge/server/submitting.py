"""From the members of a request to jobs for the queue: the only place where a job from outside is checked."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import ValidationError

from ironforge.errors import (
    Finding,
    IdempotencyConflict,
    InvalidJob,
    IronForgeError,
    JobRemoved,
    NotConfirmed,
    StoreUnavailable,
)
from ironforge.forge import request_hash
from ironforge.job import MAX_DELAY_S, MAX_PAYLOAD_BYTES, BackoffPolicy, Job, NewJob
from ironforge.json_exact import Element, Members, read_object
from ironforge.queue.backend import RedisQueue
from ironforge.requests import BatchJobIn, JobIn, Request
from ironforge.schemas import BatchOut, EntryError
from ironforge.server.limits import ANSWER_TIMEOUT_S
from ironforge.server.problems import findings, invalid

RequestT = TypeVar("RequestT", bound=Request)
# Jobs of a batch that carry a key take three round trips each; so many go on at once.
_AT_ONCE = 64


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


async def submit_batch(queue: RedisQueue, elements: list[Element], batch_key: str, body: bytes) -> BatchOut:
    """Accepts every job that is well; says for each other one why not.

    Args:
        batch_key: the request's own Idempotency-Key, or ''. It counts for each job that has none of its own.

    Raises:
        IdempotencyConflict: the batch's key stands for another batch.
    """
    errors: list[EntryError] = []
    accepted: list[tuple[int, NewJob, str, str]] = []
    body_hash = sha256(body).hexdigest()[:32] if batch_key else ""
    for index, element in enumerate(elements):
        try:
            new, key = _entry(element)
        except InvalidJob as refused:
            errors += [EntryError(index=index, **found) for found in refused.errors[:5]]
            continue
        hashed = request_hash(new) if key else body_hash
        accepted.append((index, new, key or (f"{batch_key}:{len(accepted)}" if batch_key else ""), hashed))
    ids: list[str | None] = [None] * len(elements)
    plain = [(index, new) for index, new, key, _ in accepted if not key]
    for (index, _), job in zip(plain, await queue.enqueue_many([new for _, new in plain]), strict=True):
        ids[index] = job.id
    keyed = [entry for entry in accepted if entry[2]]
    for at in range(0, len(keyed), _AT_ONCE):
        chunk = keyed[at : at + _AT_ONCE]
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            outcomes = await asyncio.gather(
                *(queue.submit(new, key, hashed) for _, new, key, hashed in chunk), return_exceptions=True
            )
        if unsure := [outcome for outcome in outcomes if isinstance(outcome, NotConfirmed)]:
            raise NotConfirmed([job_id for one in unsure for job_id in one.job_ids])
        for (index, _, key, _), outcome in zip(chunk, outcomes, strict=True):
            ids[index] = _submitted(index, key, outcome, batch_key, errors)
    return BatchOut(ids=ids, errors=sorted(errors, key=lambda error: error.index))


def _submitted(index: int, key: str, outcome: Any, batch_key: str, errors: list[EntryError]) -> str | None:
    if isinstance(outcome, IdempotencyConflict | JobRemoved):
        if batch_key and key == f"{batch_key}:0":
            raise IdempotencyConflict(batch_key) if isinstance(outcome, IdempotencyConflict) else outcome
        errors.append(EntryError(index=index, pointer="/idempotency_key", detail=str(outcome)))
        return None
    if isinstance(outcome, BaseException):
        raise outcome if isinstance(outcome, IronForgeError) else StoreUnavailable("Redis does not answer")
    return outcome[0].id


def _entry(element: Element) -> tuple[NewJob, str]:
    if isinstance(element, list):
        raise invalid("the job", element)
    asked = checked(BatchJobIn, element.values, "the job")
    return new_job(asked, element), asked.idempotency_key or ""


def _instant_ms(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong("/run_at", "is no RFC 3339 instant, as 2026-11-24T06:00:00Z is") from None
    if at.tzinfo is None:
        raise _wrong("/run_at", "needs an offset from UTC, or Z")
    try:
        ms = round(at.timestamp() * 1000)
    except (OverflowError, ValueError):
        raise _wrong("/run_at", "is out of range") from None
    if ms > (time.time() + MAX_DELAY_S) * 1000:
        raise _wrong("/run_at", "lies more than 1 year ahead")
    return max(0, ms)


def _wrong(pointer: str, detail: str) -> InvalidJob:
    found: list[Finding] = [{"pointer": pointer, "detail": detail}]
    return invalid("the job", found)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
