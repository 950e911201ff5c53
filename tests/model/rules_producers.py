"""Rules of producers: jobs come in, once or under a key, and again under the same id."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ironforge.errors import IdempotencyConflict, JobRemoved
from ironforge.job import BackoffPolicy, Job, NewJob, Priority
from tests.model.books import ModelJob
from tests.model.choices import Choices, chance, pick
from tests.model.delivery import deliver
from tests.model.machine import Expected, Machine, Raises, Verb

QUEUES = ("default", "a", "b")
KINDS = ("k1", "k2")
KEYS = ("key1", "key2", "key3")
MOST_JOBS = 14
HOUR_MS = 3_600_000
PAYLOADS = (
    b"{}",
    b'{"n":9007199254740993,"list":[]}',
    '{"text":"ä\\u0000\\u001b|\\n \'quoted\' \U0001f525"}'.encode(),
    b'{"raw":"\x00\xff\r\n"}',
)


def enqueue(machine: Machine, choices: Choices) -> None:
    if len(machine.model.jobs) >= MOST_JOBS:
        return
    new_jobs = [_new_job(machine, choices) for _ in range(1 + pick(choices, (0, 0, 0, 1, 3)))]
    if chance(choices, 5):
        new_jobs.append(replace(new_jobs[0]))  # the same id twice in one batch

    def expect() -> Expected:
        yield machine.model.enqueue(new_jobs)
        wanted = [job.id for job in new_jobs]
        return lambda jobs: [job.id for job in jobs] == wanted and all(_is(machine, job) for job in jobs)

    words = f"enqueue {', '.join(f'{job.id[-4:]} in {job.queue} {job.priority.value}' for job in new_jobs)}"
    start = lambda: machine.queue.enqueue_many([replace(job) for job in new_jobs])  # noqa: E731
    deliver(machine, choices, Verb(words, start, expect, reads_at_once=True))


def submit(machine: Machine, choices: Choices) -> None:
    if len(machine.model.jobs) >= MOST_JOBS:
        return
    new = _new_job(machine, choices)
    key, request_hash = pick(choices, KEYS), pick(choices, ("h1", "h1", "h2"))
    verb = Verb(
        f"submit {new.id[-4:]} under {key} {request_hash}",
        lambda: machine.queue.submit(replace(new), key, request_hash),
        lambda: expect_submission(machine, new, key, request_hash),
    )
    deliver(machine, choices, verb)


def expect_submission(
    machine: Machine, new: NewJob, key: str, request_hash: str, *, learn: bool = False
) -> Expected:
    """reserve, enqueue, confirm; `learn`: the product makes the id, and it is seen in the first call."""
    proposed = machine.call.word(2) if learn else new.id
    word, found = machine.model.reserve(key, request_hash, proposed)
    yield [word, found]
    if word == b"conflict":
        return Raises(IdempotencyConflict)
    if word != b"done":
        new = replace(new, id=found.decode())
        remember_id(machine, new.id)
        yield machine.model.enqueue([new])
        yield machine.model.confirm(key, request_hash, new.id)
    elif found.decode() not in machine.model.jobs:
        return Raises(JobRemoved)
    made = (found.decode(), word == b"new")

    def right(result: Any) -> bool:
        job, created = result if isinstance(result, tuple) else (result, made[1])
        return (job.id, created) == made

    return right


def reserve_or_confirm(machine: Machine, choices: Choices) -> None:
    """A submitter's single calls, in no order: it died between two of them, or its calls came late."""
    key, request_hash, job_id = pick(choices, KEYS), pick(choices, ("h1", "h2")), new_id(machine)
    found = machine.model.strings.get(f"idem:{key}")
    if found and chance(choices, 60):
        _, request_hash, job_id = found.value.decode().split("|", 2)
    if chance(choices, 50):

        def expect() -> Expected:
            yield machine.model.confirm(key, request_hash, job_id)
            return None

        start = machine.queue.confirm
    else:

        def expect() -> Expected:
            yield machine.model.reserve(key, request_hash, job_id)
            return None

        start = machine.queue.reserve
    verb = Verb(
        f"{start.__name__} {key} {request_hash} {job_id[-4:]}",
        lambda: start(key, request_hash, job_id),
        expect,
    )
    deliver(machine, choices, verb)


def grow_old(machine: Machine, choices: Choices) -> None:
    """A waiting job gets a long past: what many runs that failed, or were lost or released, would have left behind."""
    waiting = [
        job for job in machine.model.jobs.values() if job.status in ("scheduled", "queued", "retrying")
    ]
    young = [job for job in waiting if job.fence is None and job.attempt_count == 0]
    if not young:
        return
    job = pick(choices, young)
    job.attempt_count = pick(choices, (25, 9, 10))
    match choices.below(5):
        case 0 | 4:
            job.crashes = pick(choices, (2, 2, 1))
        case 1:
            job.lapses = pick(choices, (min(job.attempt_count, 20), min(job.attempt_count, 19)))
        case 2:
            job.retry_count = min(job.max_retries, pick(choices, (9, 10)), job.attempt_count)
        case _:
            pass
    job.fence, job.sequence = f"{job.attempt_count}:t{0:06d}", 1
    job.attempts = [b"1 2 w0 released"] * min(job.attempt_count, 10)
    machine.model.mark(job)
    words = (
        f"{job.attempt_count} attempts, {job.retry_count} retries, {job.crashes} crashes, {job.lapses} lapses"
    )
    machine.tell(f"{job.id[-4:]} grows old: {words}")
    machine.impose()


def again(machine: Machine, choices: Choices) -> None:
    """Something that was sent before is sent once more, as it was."""
    if machine.memory.sent:
        deliver(machine, choices, pick(choices, machine.memory.sent[::-1]))


def go_on(machine: Machine, choices: Choices) -> None:
    """A client that was held up sends its next command."""
    if not machine.waiting:
        return
    client = pick(choices, machine.waiting)
    machine.tell(f"{client.verb.words} (goes on)")
    if chance(choices, 10):
        machine.waiting.remove(client)
        machine.fail(client)
        return
    machine.answer(client)
    if client.hop is None:
        machine.waiting.remove(client)


def new_id(machine: Machine) -> str:
    return f"00000000-0000-7000-8000-{machine.number():012x}"


def remember_id(machine: Machine, job_id: str) -> None:
    if job_id not in machine.memory.job_ids:
        machine.memory.job_ids.append(job_id)
        del machine.memory.job_ids[:-40]


def any_job(machine: Machine, choices: Choices, *wanted: str) -> str:
    """Mostly one of these statuses; now and then any id that ever was."""
    model = machine.model
    fitting = [job.id for job in model.jobs.values() if job.status in wanted]
    if fitting and not chance(choices, 15):
        return pick(choices, fitting)
    return pick(choices, machine.memory.job_ids or ["00000000-0000-7000-8000-ffffffffffff"])


def _new_job(machine: Machine, choices: Choices) -> NewJob:
    if machine.memory.job_ids and chance(choices, 8):
        job_id = pick(choices, machine.memory.job_ids)
    else:
        job_id = new_id(machine)
    remember_id(machine, job_id)
    new = NewJob(pick(choices, KINDS), id=job_id, queue=pick(choices, ("default", "default", "a", "b")))
    new.priority = Priority.from_rank((2 + choices.below(4)) % 4)
    new.payload_json = pick(choices, PAYLOADS)
    new.max_retries = pick(choices, (3, 0, 1, 12))
    match choices.below(4):
        case 1:
            new.delay_ms = pick(choices, (0, 1, 2_000, 4_000, 5_000, 5_001, HOUR_MS))
        case 2:
            new.run_at_ms = machine.model.now_ms + pick(choices, (0, 1, -1, 4_999, 5_000, HOUR_MS))
        case _:
            pass
    new.retention_ms = pick(choices, (None, None, 0, 1_000, HOUR_MS))
    if chance(choices, 10):
        new.timeout_ms, new.tags, new.backoff = 30_000, ("ä", "b"), BackoffPolicy(1.5)
    return new


def _is(machine: Machine, job: Job) -> bool:
    known = machine.model.jobs.get(job.id)
    return known is not None and same_job(known, job)


def same_job(known: ModelJob, job: Job) -> bool:
    """Whether a job as the product reads it is the one of the model."""
    return (
        (job.id, job.kind, job.queue, job.status.value) == (known.id, known.kind, known.queue, known.status)
        and job.payload_json == known.accepted.get(b"payload", b"{}")
        and (job.priority.rank, job.max_retries) == (known.rank, known.max_retries)
        and (job.retry_count, job.crashes, job.lapses) == (known.retry_count, known.crashes, known.lapses)
        and (job.run_at_ms, job.finished_ms, job.worker) == (known.run_at, known.finished_at, known.worker)
        and len(job.attempts) == len(known.attempts)
    )
