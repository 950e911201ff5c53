"""Rules of operators: what a person or a program does to jobs and queues, with and without an Idempotency-Key."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ironforge.errors import IdempotencyConflict, InvalidTransition, JobNotFound, JobRunning, QueueNotFound
from ironforge.job import BackoffPolicy, NewJob, Priority
from ironforge.queue.readings import NEVER, Once
from tests.model.choices import Choices, chance, pick
from tests.model.delivery import deliver
from tests.model.machine import Expected, Machine, Raises, Verb
from tests.model.rules_producers import MOST_JOBS, any_job, expect_submission, remember_id, same_job

QUEUES = ("default", "a", "b", "never")


def cancel(machine: Machine, choices: Choices) -> None:
    job_id = any_job(
        machine, choices, *(("running",) if chance(choices, 60) else ("scheduled", "queued", "retrying"))
    )
    once = _once(choices, "cancel", job_id)
    _operate(
        machine, choices, f"cancel {job_id[-4:]}", job_id, once,
        lambda: machine.queue.cancel(job_id, once=once), lambda: machine.model.cancel(job_id, once),
        ("done", "requested"),
    )  # fmt: skip


def retry(machine: Machine, choices: Choices) -> None:
    job_id, reset = any_job(machine, choices, "dead", "cancelled"), not chance(choices, 40)
    once = _once(choices, f"retry{reset}", job_id)
    _operate(
        machine, choices, f"retry {job_id[-4:]} reset={reset}", job_id, once,
        lambda: machine.queue.retry(job_id, reset_retry_count=reset, once=once),
        lambda: machine.model.retry(job_id, reset, once), ("done",),
    )  # fmt: skip


def run_now(machine: Machine, choices: Choices) -> None:
    job_id = any_job(machine, choices, "scheduled", "retrying")
    once = _once(choices, "run", job_id)
    _operate(
        machine, choices, f"run {job_id[-4:]}", job_id, once,
        lambda: machine.queue.run_now(job_id, once=once), lambda: machine.model.run_now(job_id, once), ("done",),
    )  # fmt: skip


def delete(machine: Machine, choices: Choices) -> None:
    job_id = any_job(
        machine,
        choices,
        *pick(choices, (("queued",), ("dead", "completed", "cancelled"), ("scheduled", "retrying"))),
    )
    once = _once(choices, "delete", job_id)

    def expect() -> Expected:
        word = machine.model.delete(job_id, once)
        yield word
        refusals: dict[bytes, type[Exception]] = {
            b"missing": JobNotFound,
            b"running": JobRunning,
            b"key_conflict": IdempotencyConflict,
        }
        return Raises(refusals[word]) if word in refusals else None

    deliver(
        machine,
        choices,
        Verb(f"delete {job_id[-4:]}{_under(once)}", lambda: machine.queue.delete(job_id, once=once), expect),
    )


def retry_as_new(machine: Machine, choices: Choices) -> None:
    if len(machine.model.jobs) >= MOST_JOBS:
        return
    job_id = any_job(machine, choices, "dead", "cancelled")
    once = _once(choices, "as_new", job_id)
    payload = b'{"changed":true}'

    def expect() -> Expected:
        old = machine.model.jobs.get(job_id)
        if old is None:
            return _raising(JobNotFound)
        if old.status not in ("dead", "cancelled"):
            return _raising(InvalidTransition)
        accepted = old.accepted
        new = NewJob(
            old.kind,
            payload,
            queue=old.queue,
            priority=Priority.from_rank(old.rank),
            max_retries=old.max_retries,
            timeout_ms=_int(accepted.get(b"timeout_ms")),
            retention_ms=_int(accepted.get(b"retention_ms")),
            retry_of=job_id,
        )
        return _expect_new(machine, new, accepted, once)

    words = f"retry {job_id[-4:]} as a new job{_under(once)}"
    start = lambda: machine.queue.retry_as_new(job_id, payload, once=once)  # noqa: E731
    deliver(machine, choices, Verb(words, start, expect, together=1))


def switch(machine: Machine, choices: Choices) -> None:
    queue, verb = pick(choices, QUEUES), pick(choices, ("resume", "resume", "pause"))
    once = _once(choices, verb, queue)

    def expect() -> Expected:
        word = machine.model.switch(queue, verb, once)
        yield word
        refusals: dict[bytes, type[Exception]] = {
            b"missing": QueueNotFound,
            b"key_conflict": IdempotencyConflict,
        }
        return Raises(refusals[word]) if word in refusals else None

    do = machine.queue.pause if verb == "pause" else machine.queue.resume
    deliver(machine, choices, Verb(f"{verb} {queue}{_under(once)}", lambda: do(queue, once=once), expect))


def _operate(
    machine: Machine,
    choices: Choices,
    words: str,
    job_id: str,
    once: Once,
    start: Callable[[], Coroutine[Any, Any, Any]],
    effect: Callable[[], bytes],
    good: tuple[str, ...],
) -> None:
    def told(result: Any) -> Any:
        return result[0] if isinstance(result, tuple) else result

    def expect() -> Expected:
        was_there = job_id in machine.model.jobs
        word = effect()
        yield word
        if word == b"missing":
            return Raises(JobNotFound)
        if word == b"key_conflict":
            return Raises(IdempotencyConflict)
        if word.decode() not in good:
            return Raises(InvalidTransition)
        known = machine.model.jobs.get(job_id)
        if known is not None:
            return lambda result: same_job(known, told(result))
        # Deleted since, before it was read: it is told of as the script changed it.
        if was_there:
            return lambda result: told(result).id == job_id
        # The answer to a known key whose job is gone: perhaps it was there when the call began.
        return Raises(JobNotFound, lambda result: told(result).id == job_id)

    deliver(machine, choices, Verb(words + _under(once), start, expect))


def _expect_new(machine: Machine, new: NewJob, accepted: dict[bytes, bytes], once: Once) -> Expected:
    if b"tags" in accepted:
        new.tags = ("ä", "b")
    if b"backoff" in accepted:
        new.backoff = BackoffPolicy.from_json(accepted[b"backoff"])
    if once.key:
        return (yield from expect_submission(machine, new, once.key, once.request_hash, learn=True))
    new.id = next(machine.call.submissions())[0]
    remember_id(machine, new.id)
    yield machine.model.enqueue([new])
    return lambda job: job.id == new.id


def _raising(kind: type[Exception]) -> Expected:
    return Raises(kind)
    yield  # a generator that asks nothing of the server


def _int(value: bytes | None) -> int | None:
    return None if value is None else int(value)


def _once(choices: Choices, verb: str, subject: str) -> Once:
    """Mostly no key. A key's hash is of the request, so another request under it conflicts."""
    if not chance(choices, 30):
        return NEVER
    return Once(pick(choices, ("op1", "op2", "key1")), f"{verb}-{subject[-4:]}")


def _under(once: Once) -> str:
    return f" under {once.key}" if once.key else ""
