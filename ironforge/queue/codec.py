"""Between a job's hash in Redis and a Job. What Redis holds is read as untrusted: no field can crash a reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from ironforge.job import (
    DEFAULT_MAX_RETRIES,
    FORMAT,
    Attempt,
    BackoffPolicy,
    Job,
    JobError,
    JobStatus,
    NewJob,
    Priority,
)
from ironforge.queue.scripts import Argument

Fields = Mapping[bytes, bytes]
_MEDIUM = Priority.MEDIUM
# What the scripts themselves read and write: these fields mean the same in every form, for ever.
_IN_EVERY_FORM = (
    b"kind", b"queue", b"status", b"priority", b"created_at", b"run_at", b"started_at", b"finished_at", b"worker",
    b"retry_count", b"max_retries", b"crashes", b"lapses", b"generation", b"fence", b"cancel_requested", b"reason",
    b"fingerprint",
)  # fmt: skip
_NOT_STARTED = frozenset({JobStatus.SCHEDULED, JobStatus.QUEUED, JobStatus.RETRYING})


def pairs(flat: Iterable[bytes]) -> dict[bytes, bytes]:
    """A flat field, value, … list (how Lua gives a hash) as a dict."""
    values = iter(flat)
    return dict(zip(values, values, strict=False))


def enqueue_arguments(new: NewJob) -> list[Argument]:
    """The part of enqueue.lua's ARGV that speaks of one job; fields at their default are left out."""
    extra: list[Argument] = [] if FORMAT == 1 else ["format", FORMAT]
    if new.payload_json != b"{}":
        extra += ("payload", new.payload_json)
    if new.priority is not _MEDIUM:
        extra += ("priority", new.priority.rank)
    if new.max_retries != DEFAULT_MAX_RETRIES:
        extra += ("max_retries", new.max_retries)
    for name, value in (("timeout_ms", new.timeout_ms), ("retention_ms", new.retention_ms)):
        if value is not None:
            extra += (name, value)
    if new.backoff is not None:
        extra += ("backoff", new.backoff.to_json())
    if new.tags:
        extra += ("tags", json.dumps(new.tags))
    if new.retry_of is not None:
        extra += ("retry_of", new.retry_of)
    if new.delay_ms is not None:
        when, ms = "in", new.delay_ms
    elif new.run_at_ms is not None:
        when, ms = "at", new.run_at_ms
    else:
        when, ms = "now", 0
    return [new.id, new.queue, new.kind, new.priority.rank, when, ms, len(extra), *extra]


def new_to_job(new: NewJob, created_ms: int, status: JobStatus, due_ms: int) -> Job:
    """The job as enqueue.lua wrote it, without reading it back."""
    return Job(
        id=new.id,
        kind=new.kind,
        queue=new.queue,
        status=status,
        payload_json=new.payload_json,
        priority=new.priority,
        max_retries=new.max_retries,
        created_ms=created_ms,
        run_at_ms=due_ms or None,
        timeout_s=None if new.timeout_ms is None else new.timeout_ms / 1000,
        tags=list(new.tags),
        retry_of=new.retry_of,
        backoff=new.backoff,
        retention_s=None if new.retention_ms is None else new.retention_ms / 1000,
    )


def job_from_hash(job_id: str, fields: Fields) -> Job:
    """A job from its hash, which must not be empty; of one in a newer form, what is the same in every form."""
    stored = fields.get(b"format")
    if stored is not None and (form := number(stored, FORMAT + 1)) > FORMAT:
        return _newer_job(job_id, {name: fields[name] for name in _IN_EVERY_FORM if name in fields}, form)
    job = Job(job_id, "unknown", "unknown", JobStatus.DEAD)
    for name, value in fields.items():
        if (found := _READERS.get(name)) is not None:
            attribute, read = found
            setattr(job, attribute, read(value))
    if job.status in _NOT_STARTED:
        job.started_ms = None
    if b"attempt_count" in fields:
        job.attempts = _attempts(fields)
    job.suspect = job.crashes >= 2 and job.status is JobStatus.QUEUED
    return job


def _newer_job(job_id: str, fields: Fields, form: int) -> Job:
    job = job_from_hash(job_id, fields)
    job.format, job.payload_json = form, b"null"
    job.last_error = JobError(
        "NewerFormat",
        f"this job is stored in form {form} by a newer version of IronForge; this version reads forms up to {FORMAT}",
    )
    return job


def text(value: bytes | None, default: str) -> str:
    return default if value is None else value.decode("utf-8", "replace")


def number(value: bytes | None, default: int) -> int:
    try:
        return default if value is None else int(value)
    except ValueError:
        return default


def json_object(value: bytes | None) -> dict[str, Any]:
    """A stored JSON object; {} for anything else."""
    try:
        found: object = json.loads(value or b"{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def members_of(found: list[Any]) -> list[tuple[bytes, float]]:
    """[[member, score], …] or a flat member, score, … list as pairs: redis-py gives either, by version."""
    if found and isinstance(found[0], list | tuple):
        return [(member, float(score)) for member, score in found]
    return [(found[at], float(found[at + 1])) for at in range(0, len(found), 2)]


def _status(value: bytes) -> JobStatus:
    return _STATUSES.get(value, JobStatus.DEAD)


def _priority(value: bytes) -> Priority:
    rank = number(value, 2)
    return Priority.from_rank(rank) if 0 <= rank <= 3 else _MEDIUM


def _tags(value: bytes) -> list[str]:
    try:
        found: object = json.loads(value)
    except ValueError:
        return []
    return [str(tag) for tag in cast("list[object]", found)] if isinstance(found, list) else []


def _attempts(fields: Fields) -> list[Attempt]:
    count = number(fields.get(b"attempt_count"), 0)
    found: list[Attempt] = []
    for at in range(max(1, count - 9), count + 1):
        if (stored := fields.get(b"attempt:%d" % at)) is not None:
            found.append(_attempt(at, stored))
    return found


def _attempt(at: int, stored: bytes) -> Attempt:
    """`<started ms> <finished ms> <worker> <outcome>[ <error JSON>]`, as _finish.lua writes it."""
    parts = stored.split(b" ", 4)
    parts += [b""] * (5 - len(parts))
    error = JobError.from_json(parts[4]) if parts[4] else None
    return Attempt(
        at, number(parts[0], 0), number(parts[1], 0), text(parts[2], "-"), text(parts[3], "failed"), error
    )


def _whole(default: int) -> Callable[[bytes], int]:
    return lambda value: number(value, default)


def _words(default: str | None) -> Callable[[bytes], str | None]:
    return lambda value: value.decode("utf-8", "replace") or default


_STATUSES = {status.value.encode(): status for status in JobStatus}
# A stored field -> where in a Job it goes, and how it is read. Most jobs have few of them: what is absent costs nothing.
_READERS: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    b"kind": ("kind", _words("")),
    b"queue": ("queue", _words("")),
    b"status": ("status", _status),
    b"payload": ("payload_json", bytes),
    b"priority": ("priority", _priority),
    b"retry_count": ("retry_count", _whole(0)),
    b"max_retries": ("max_retries", _whole(DEFAULT_MAX_RETRIES)),
    b"created_at": ("created_ms", _whole(0)),
    b"run_at": ("run_at_ms", _whole(0)),
    b"started_at": ("started_ms", _whole(0)),
    b"finished_at": ("finished_ms", _whole(0)),
    b"timeout_ms": ("timeout_s", lambda value: number(value, 0) / 1000),
    b"retention_ms": ("retention_s", lambda value: number(value, 0) / 1000),
    b"worker": ("worker", _words(None)),
    b"last_error": ("last_error", JobError.from_json),
    b"result": ("result_json", bytes),
    b"progress": ("progress_json", bytes),
    b"crashes": ("crashes", _whole(0)),
    b"lapses": ("lapses", _whole(0)),
    b"generation": ("generation", _whole(0)),
    b"retry_of": ("retry_of", _words(None)),
    b"tags": ("tags", _tags),
    b"fence": ("fence", _words("")),
    b"backoff": ("backoff", BackoffPolicy.from_json),
    b"cancel_requested": ("cancel_requested", lambda _: True),
    b"reason": ("reason", _words(None)),
    b"fingerprint": ("fingerprint", _words(None)),
}
