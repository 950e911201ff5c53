"""A job as JSON text, with payload, result and progress put in as the bytes they are."""

from __future__ import annotations

import json
from typing import Any

from ironforge.job import DEFAULT_TIMEOUT_S, Attempt, Job, JobError
from ironforge.json_exact import is_json
from ironforge.schemas import instant_text

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def job_json(job: Job, *, trusted: bool = False) -> bytes:
    """The job of contract §3.

    Args:
        trusted: its payload was checked in this very request. Bytes that come from the store are checked here, since
            one damaged hash must not spoil a whole page.
    """
    head = {"id": job.id, "kind": job.kind, "queue": job.queue}
    middle: dict[str, Any] = {
        "priority": job.priority.value,
        "status": job.status.value,
        "retry_count": job.retry_count,
        "max_retries": job.max_retries,
        "created_at": instant_text(job.created_ms),
        "run_at": instant_text(job.run_at_ms),
        "started_at": instant_text(job.started_ms),
        "finished_at": instant_text(job.finished_ms),
        "timeout_s": DEFAULT_TIMEOUT_S if job.timeout_s is None else job.timeout_s,
        "worker": job.worker,
        "last_error": _error(job.last_error),
        "attempts": [_attempt(attempt) for attempt in job.attempts],
    }
    tail: dict[str, Any] = {
        "crashes": job.crashes,
        "lapses": job.lapses,
        "generation": job.generation,
        "retry_of": job.retry_of,
        "unique_key": None,
        "tags": job.tags,
        "cancel_requested": job.cancel_requested,
        "reason": job.reason,
        "suspect": job.suspect,
    }
    if job.is_newer:
        tail["format"] = job.format
    return b"".join(
        (
            _bytes(head)[:-1],
            b',"payload":',
            job.payload_json if trusted else _spliced(job.payload_json),
            b",",
            _bytes(middle)[1:-1],
            b',"result":',
            _spliced(job.result_json),
            b',"progress":',
            _spliced(job.progress_json),
            b",",
            _bytes(tail)[1:],
        )
    )


def new_job_json(job: Job) -> bytes:
    """The same text for a job that was accepted just now: nothing has happened to it yet."""
    limit_s = DEFAULT_TIMEOUT_S if job.timeout_s is None else job.timeout_s
    run_at = instant_text(job.run_at_ms)
    head = f'{{"id":"{job.id}","kind":"{job.kind}","queue":"{job.queue}","payload":'
    rest = (
        f',"priority":"{job.priority.value}","status":"{job.status.value}","retry_count":0,'
        f'"max_retries":{job.max_retries},"created_at":"{instant_text(job.created_ms)}",'
        f'"run_at":{"null" if run_at is None else _quoted(run_at)},"started_at":null,"finished_at":null,'
        f'"timeout_s":{limit_s!r},"worker":null,"last_error":null,"attempts":[],"result":null,"progress":null,'
        f'"crashes":0,"lapses":0,"generation":0,"retry_of":null,"unique_key":null,'
        f'"tags":{_encode(job.tags) if job.tags else "[]"},"cancel_requested":false,"reason":null,"suspect":false}}'
    )
    return head.encode() + job.payload_json + rest.encode("utf-8", "replace")


def jobs_json(jobs: list[Job], next_cursor: str | None, total: int | None) -> bytes:
    """A page of jobs."""
    rest = _bytes({"next_cursor": next_cursor, "total": total})
    return b'{"jobs":[' + b",".join(map(job_json, jobs)) + b"]," + rest[1:]


def _quoted(text: str) -> str:
    return f'"{text}"'


def _spliced(stored: bytes | None) -> bytes:
    if stored is None:
        return b"null"
    return stored if is_json(stored) else _bytes(stored.decode("utf-8", "replace"))


def _error(error: JobError | None) -> dict[str, str] | None:
    return (
        None
        if error is None
        else {"type": error.type, "message": error.message, "traceback": error.traceback}
    )


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": instant_text(attempt.started_ms),
        "finished_at": instant_text(attempt.finished_ms),
        "worker": attempt.worker,
        "outcome": attempt.outcome,
        "error": _error(attempt.error),
    }


def _bytes(value: Any) -> bytes:
    """Half a surrogate pair in a stored text becomes `?`: it has no place in UTF-8."""
    return _encode(value).encode("utf-8", "replace")
