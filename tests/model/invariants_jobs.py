"""Invariants of single jobs: their places, holders, counts and records."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.step import LASTING, TERMINAL, Fields, History, Step, generation, number

MAX_CRASHES, MAX_LAPSES, SUSPECT_AT, ATTEMPTS_KEPT = 3, 20, 2, 10


def one_index(step: Step, history: History) -> Iterator[str]:
    for job_id, _, job in step.moved():
        places = step.places.of.get(job_id, {})
        if job and places and places.keys() != {_home(job)}:
            yield f"{job_id} is {job.get(b'status')} and in {sorted(places)}"


def _home(job: Fields) -> bytes:
    status = job.get(b"status", b"?")
    suspect = status == b"queued" and number(job, b"crashes") >= SUSPECT_AT
    return b"q:%s:%s" % (job.get(b"queue", b"?"), b"suspects" if suspect else status)


def no_ghosts(step: Step, history: History) -> Iterator[str]:
    for job_id, _, job in step.moved():
        places = step.places.of.get(job_id)
        if places and not job:
            yield f"{job_id} is in {sorted(places)} and does not exist"
        if job and not places:
            yield f"{job_id} is {job.get(b'status')} and in no index"
    yield from _groups(step)


def _groups(step: Step) -> Iterator[str]:
    for job_id, was, job in step.moved():
        for fields in (was, job):
            fingerprint = fields.get(b"fingerprint")
            if fingerprint is None:
                continue
            grouped = job_id in step.members(f"dead:group:{fingerprint.decode()}")
            belongs = job.get(b"status") == b"dead" and job.get(b"fingerprint") == fingerprint
            if grouped != belongs:
                yield f"{job_id} is {job.get(b'status')} and {'in' if grouped else 'not in'} group {fingerprint}"
    changed = [name for name in step.old if name.startswith(b"dead:group")]
    counts = step.members("dead:groups") if changed else {}
    for fingerprint in {name[11:] for name in changed if name.startswith(b"dead:group:")} | counts.keys():
        size = len(step.members(f"dead:group:{fingerprint.decode()}"))
        if counts.get(fingerprint, 0) != size:
            yield f"group {fingerprint} counts {counts.get(fingerprint, 0)} and holds {size}"


def fences_are_new(step: Step, history: History) -> Iterator[str]:
    for job_id, was, job in step.moved():
        fence, old = job.get(b"fence"), was.get(b"fence")
        began = job.get(b"status") == b"running" and was.get(b"status") != b"running"
        if began and (fence is None or fence == old):
            yield f"{job_id} began a run under the fence {fence} it had"
        if fence is None or fence == old:
            continue
        if fence in history.fences.get(job_id, ()):
            yield f"{job_id} was given fence {fence} before"
        if deliveries(job) <= deliveries(was):
            yield f"{job_id}: deliveries went from {old} to {fence}"


def deliveries(job: Fields) -> int:
    return int(job.get(b"fence", b"0").partition(b":")[0])


def one_holder(step: Step, history: History) -> Iterator[str]:
    for job_id, _, job in step.moved():
        holders = step.places.holders.get(job_id, set())
        if job.get(b"status") == b"running":
            if len(holders) > 1 or (holders and holders != {job.get(b"worker")}) or b"fence" not in job:
                yield f"{job_id} names {job.get(b'worker')} ({job.get(b'fence')}) and is held by {sorted(holders)}"
        elif b"worker" in job:
            yield f"{job_id} is {job.get(b'status')} and names worker {job[b'worker']}"


def leases(step: Step, history: History) -> Iterator[str]:
    registered = step.members("workers") if step.ids or b"workers" in step.old else {}
    for job_id, _, job in step.moved():
        holders = step.places.holders.get(job_id, set())
        if job.get(b"status") == b"running":
            if not holders:
                yield f"{job_id} runs and is in nobody's claims"
            if job.get(b"worker") not in registered:
                yield f"{job_id} runs on {job.get(b'worker')}, which has no lease"
        elif holders:
            yield f"{job_id} is {job.get(b'status')} and claimed by {sorted(holders)}"


def limits(step: Step, history: History) -> Iterator[str]:
    for job_id, was, job in step.moved():
        if not job:
            continue
        retries, crashes, lapses = (number(job, name) for name in (b"retry_count", b"crashes", b"lapses"))
        if retries > int(job.get(b"max_retries", 3)):
            yield f"{job_id} spent {retries} retries of {job.get(b'max_retries', 3)}"
        kept = history.kept_losses.get(job_id, 0) + (generation(job) > generation(was))
        over = 1 if job.get(b"status") in (b"dead", b"cancelled") else 0
        # A retry that keeps the counts lets a job go on past a limit, by one loss each time.
        if crashes > MAX_CRASHES - 1 + over + kept:
            yield f"{job_id} is {job.get(b'status')} after {crashes} crashes"
        if lapses > MAX_LAPSES + over + kept:
            yield f"{job_id} is {job.get(b'status')} after {lapses} lapses"
        if retries + crashes + lapses > deliveries(job):
            yield f"{job_id}: {retries} retries, {crashes} crashes, {lapses} lapses of {deliveries(job)} deliveries"


def ends_are_final(step: Step, history: History) -> Iterator[str]:
    for job_id, was, job in step.moved():
        if was.get(b"status") not in TERMINAL or was == job:
            continue
        name = step.call.name
        own = name in ("retry", "delete") and step.call.word(0).encode() == job_id
        removed = name == "trim" and not job
        if not own and not removed:
            yield f"{job_id} was {was[b'status']} and was changed by {name}"
        elif own and name == "retry" and was[b"status"] == b"completed":
            yield f"{job_id} was completed and was retried"


def accepted_bytes(step: Step, history: History) -> Iterator[str]:
    for job_id, was, job in step.moved():
        if not job or not was:
            continue
        known = history.accepted.get(job_id, {})
        if any(job.get(name) != known.get(name) for name in LASTING):
            changed = {
                name: (known.get(name), job.get(name)) for name in LASTING if job.get(name) != known.get(name)
            }
            yield f"{job_id}: {changed}"
    if step.call.name == "enqueue":
        for job_id, _, _, fields in step.call.submissions():
            job = step.job(job_id.encode())
            if not step.job_was(job_id.encode()) and any(
                job.get(name) != value for name, value in fields.items()
            ):
                yield f"{job_id} is kept as {job} and was submitted with {fields}"


def one_end(step: Step, history: History) -> Iterator[str]:
    for job_id, was, job in step.moved():
        status = job.get(b"status")
        if status in TERMINAL and status != was.get(b"status"):
            before = history.ends.get((job_id, generation(job)))
            if before is not None:
                yield f"{job_id} ended as {before} and as {status} in generation {generation(job)}"
        if was.get(b"status") == b"running" and not job:
            yield f"{job_id} was removed while it ran"


def accepted_jobs(step: Step, history: History) -> Iterator[str]:
    if step.call.name == "enqueue":
        for job_id, *_ in step.call.submissions():
            if not step.job(job_id.encode()):
                yield f"{job_id} was acknowledged and is not there"
    for job_id, was, job in step.moved():
        if was and not job:
            aimed = step.call.name == "delete" and step.call.word(0).encode() == job_id
            if not aimed and (
                step.call.name != "trim" or was.get(b"status") not in (b"completed", b"cancelled")
            ):
                yield f"{job_id} ({was.get(b'status')}) is gone after {step.call.name}"
        if job and not was:
            submitted = (
                {one[0].encode() for one in step.call.submissions()} if step.call.name == "enqueue" else ()
            )
            if job_id not in submitted:
                yield f"{job_id} came out of {step.call.name}"


def records(step: Step, history: History) -> Iterator[str]:
    for job_id, was, job in step.moved():
        if not job or not was:
            continue
        ended = was.get(b"status") == b"running" and job.get(b"status") != b"running"
        count = number(job, b"attempt_count")
        if count != number(was, b"attempt_count") + ended:
            yield f"{job_id} had {number(was, b'attempt_count')} attempts, has {count}"
        if ended and not job.get(b"attempt:%d" % count, b"").startswith(was.get(b"started_at", b"?") + b" "):
            yield f"{job_id}: attempt {count} is not the run that began {was.get(b'started_at')}"
        kept = {int(name[8:]) for name in job if name.startswith(b"attempt:")}
        if kept != set(range(max(1, count - ATTEMPTS_KEPT + 1), count + 1)):
            yield f"{job_id} keeps attempts {sorted(kept)} of {count}"
    yield from _changes(step)


def _changes(step: Step) -> Iterator[str]:
    moved = {
        name.split(b":")[1]
        for name in step.old
        if name.startswith(b"q:") and not name.endswith((b":wake", b":settings"))
    }
    for name in step.old:
        if name.endswith(b":settings") and name.startswith(b"q:"):
            moved.add(name.split(b":")[1])
    for queue in moved:
        settings = b"q:%s:settings" % queue
        was, now = (step.was(settings) or {}), step.keys.get(settings, {})
        grown = number(now, b"changes") - number(was, b"changes")
        lists = any(name in step.old for name in (b"q:%s:%s" % (queue, part) for part in _LISTS))
        paused = was.get(b"paused") != now.get(b"paused")
        if grown > 1 or grown < 0 or ((lists or paused) and grown != 1):
            yield f"queue {queue} changed and its changes grew by {grown}"


_LISTS = (b"queued", b"suspects", b"scheduled", b"retrying", b"running", b"completed", b"dead", b"cancelled")


def suspects_alone(step: Step, history: History) -> Iterator[str]:
    for _, _, job in step.moved():
        worker = job.get(b"worker")
        if worker is None:
            continue
        held = step.keys.get(b"worker:%s:claims" % worker, frozenset())
        suspects = [other for other in held if number(step.job(other), b"crashes") >= SUSPECT_AT]
        if suspects and len(held) > 1:
            yield f"{worker} holds {sorted(held)}, of which {suspects} may kill it"
