"""Invariants of single calls: what a script may do, given what it was asked and what there was."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.step import TERMINAL, Fields, History, Step, number

_BY_WORKER = ("beat", "claim", "hand_back", "deregister")
_EFFECTS = {"retry": b"done", "run": b"done", "delete": b"deleted"}
_KEY_AT = {"retry": 2, "run": 1, "delete": 1, "cancel": 1, "pause": 2}


def stale_writes(step: Step, history: History) -> Iterator[str]:
    call = step.call
    if call.name == "settle":
        yield from _stale_settlements(step)
    elif call.name == "progress":
        if not _current(step, call.word(0), call.word(1)) and (step.old or step.reply != b"refused"):
            yield f"progress under {call.word(1)} was answered {step.reply} and changed {sorted(step.old)}"
    elif call.name == "lock":
        holder = step.was(b"lock:" + call.word(1).encode())
        foreign = holder != call.word(2).encode() and (holder is not None or call.word(0) != "acquire")
        if foreign and (step.old or step.reply != 0):
            yield f"{call.word(0)} of a lock held by {holder} was answered {step.reply}"
    elif (
        call.name in _BY_WORKER
        and call.word(0).encode() not in step.members("workers", before=True)
        and step.old
    ):
        yield f"{call.name} of a worker that is gone changed {sorted(step.old)}"
    elif call.name == "renew":
        born = step.members("workers").keys() - step.members("workers", before=True).keys()
        if born:
            yield f"renewed {sorted(born)}, which were gone"


def _stale_settlements(step: Step) -> Iterator[str]:
    wanted = step.call.settlements()
    current = {job_id for job_id, fence in wanted if _current(step, job_id, fence)}
    for job_id, _ in wanted:
        if job_id not in current and job_id.encode() in step.ids:
            yield f"{job_id} was settled under an old fence and changed"
    if current:
        return
    refused = sum(word == b"refused" for word in step.reply)
    was, now = step.was(b"stats") or {}, step.keys.get(b"stats") or {}
    grown = {name: int(value) - number(was, name) for name, value in now.items() if value != was.get(name)}
    if step.old.keys() - {b"stats"} or grown != ({b"refused": refused} if refused else {}):
        yield f"only old fences, and {sorted(step.old)} changed; {refused} were refused and counted {grown}"
    if any(word == b"ok" for word in step.reply):
        yield f"only old fences, answered {step.reply}"


def _current(step: Step, job_id: str, fence: str) -> bool:
    job = step.job_was(job_id.encode())
    return job.get(b"status") == b"running" and job.get(b"fence") == fence.encode()


def reaping(step: Step, history: History) -> Iterator[str]:
    looked = step.call.name == "survey" and b"meta" in step.old
    if step.call.name != "reap" and not looked:
        return
    lease_ms, gap_ms = int(step.call.argv[0]), int(step.call.argv[1])
    limit = 0 if looked else int(step.call.argv[2])
    meta: Fields = step.was(b"meta") or {}
    last = meta.get(b"reap_tick")
    outage = last is None or not 0 <= step.now_ms - int(last) <= gap_ms
    quiet_until = step.now_ms + lease_ms if outage else number(meta, b"reap_after")
    before, after = step.members("workers", before=True), step.members("workers")
    lapsed = sorted((expiry, wid) for wid, expiry in before.items() if expiry <= step.now_ms)
    due = {wid for _, wid in lapsed[:limit]} if step.now_ms >= quiet_until else set[bytes]()
    if before.keys() - after.keys() != due:
        yield f"took {sorted(before.keys() - after.keys())}, had to take {sorted(due)}"
    if number(step.keys.get(b"meta", {}), b"reap_after") != quiet_until:
        yield f"waits until {step.keys.get(b'meta')}, should until {quiet_until}"


def due_times(step: Step, history: History) -> Iterator[str]:
    for job_id, was, job in step.moved():
        status, before = job.get(b"status"), was.get(b"status")
        waited = before in (b"scheduled", b"retrying") and status in (b"queued", b"running")
        if waited and step.call.name != "run" and number(was, b"run_at") > step.now_ms:
            yield f"{job_id} is {status}, {number(was, b'run_at') - step.now_ms} ms too early"
        if status in (b"scheduled", b"retrying"):
            score = step.places.of.get(job_id, {}).get(b"q:%s:%s" % (job.get(b"queue", b""), status))
            if score is not None and score != number(job, b"run_at"):
                yield f"{job_id} is due {job.get(b'run_at')} and in its index at {score}"
    if step.call.name == "enqueue":
        for job_id, when, ms, _ in step.call.submissions():
            job = step.job(job_id.encode())
            due = ms + (step.now_ms if when == "in" else 0) if when != "now" else 0
            if not step.job_was(job_id.encode()) and (job.get(b"status") == b"scheduled") != (
                due > step.now_ms
            ):
                yield f"{job_id} is due {due} and {job.get(b'status')}"
    yield from _overdue(step)


def _overdue(step: Step) -> Iterator[str]:
    if step.call.name == "promote":
        limit, queues = int(step.call.argv[0]), step.call.words(1)
    elif step.call.name == "claim" and step.reply[0] == b"ok" and not _sent_again(step):
        limit, queues = int(step.call.argv[4]), step.call.words(5)
    else:
        return
    for queue in queues:
        for status in ("scheduled", "retrying"):
            name = f"q:{queue}:{status}"
            was, left = (
                sum(score <= step.now_ms for score in step.members(name, before=before).values())
                for before in (True, False)
            )
            if left != max(0, was - limit):
                yield f"{left} of {was} due jobs are still in {name}"


def _sent_again(step: Step) -> bool:
    """A claim that was carried out before, or comes after a later one of its lane."""
    worker = step.was(b"worker:" + step.call.word(0).encode()) or {}
    turn, dot, _ = step.call.word(2).partition(".")
    if dot and int(turn, 16) < number(worker, b"turn:" + step.call.word(1).encode()):
        return True
    return worker.get(b"lane:" + step.call.word(1).encode()) == step.call.word(2).encode()


def idempotency(step: Step, history: History) -> Iterator[str]:
    for name in step.old:
        if not name.startswith(b"idem:"):
            continue
        was, now = step.old[name], step.keys.get(name)
        if now is None and step.call.name != "clock":
            yield f"{name} is gone within its time"
        if (
            was is not None
            and now is not None
            and (was.partition(b"|")[2] != now.partition(b"|")[2] or was[:1] == b"d")
        ):
            yield f"{name} stood for {was} and stands for {now}"
    if step.call.name == "reserve":
        key, request_hash = step.call.word(0), step.call.word(1).encode()
        if known := step.was(b"idem:" + key.encode()):
            word, known_hash, known_id = known.split(b"|", 2)
            expected = [word if known_hash == request_hash else b"conflict", known_id]
            if step.old or step.reply != expected:
                yield f"{key} stands for {known}; answered {step.reply}, changed {sorted(step.old)}"


def operator_answers(step: Step, history: History) -> Iterator[str]:
    name = step.call.name
    if name not in ("retry", "run", "delete", "cancel"):
        return
    job_id = step.call.word(0).encode()
    key = step.call.word(_KEY_AT[name]).encode()
    was, now = step.job_was(job_id), step.job(job_id)
    if key and (known := step.was(b"idem:" + key)):
        if step.old or step.reply not in (known.split(b"|", 2)[2], b"key_conflict"):
            yield f"{name} under a known key was answered {step.reply} and changed {sorted(step.old)}"
        return
    status = was.get(b"status")
    if name == "cancel":
        wanted = b"requested" if status == b"running" else b"done"
        refusing = not was or status in TERMINAL
        done = b"cancel_requested" in now if status == b"running" else now.get(b"status") == b"cancelled"
    else:
        wanted = _EFFECTS[name]
        allowed = {"retry": (b"dead", b"cancelled"), "run": (b"scheduled", b"retrying")}.get(name)
        refusing = not was or (status not in allowed if allowed else status == b"running")
        done = not now if name == "delete" else now.get(b"status") == b"queued"
    if refusing:
        answer = status if was else b"missing"
        if step.reply != answer or step.old:
            yield f"{name} of a job that is {status} was answered {step.reply} and changed {sorted(step.old)}"
    elif step.reply != wanted or not done:
        yield f"{name} of a job that is {status} was answered {step.reply}; it is {now.get(b'status')}"


def pausing(step: Step, history: History) -> Iterator[str]:
    if step.call.name == "claim":
        for job_id, was, job in step.moved():
            settings = step.was(b"q:%s:settings" % job.get(b"queue", b"")) or {}
            if (
                job.get(b"status") == b"running"
                and was.get(b"status") != b"running"
                and b"paused" in settings
            ):
                yield f"{job_id} was handed out by paused queue {job[b'queue']}"
    elif step.call.name == "pause" and step.ids:
        yield f"{step.call.word(1)} moved {sorted(step.ids)}"


def order(step: Step, history: History) -> Iterator[str]:
    for job_id, was, job in step.moved():
        if job.get(b"status") == b"queued":
            yield from _misplaced(step, job_id, was, job)
    if step.call.name != "claim" or step.reply[0] != b"ok":
        return
    taken: dict[bytes, list[float]] = {}
    for _, was, job in step.moved():
        if (
            job.get(b"status") == b"running"
            and was.get(b"status") != b"running"
            and number(job, b"crashes") < 2
        ):
            taken.setdefault(job[b"queue"], []).append(_score(job, number(job, b"sequence")))
    earlier: list[str] = []
    for queue in step.call.words(5):
        left = step.members(f"q:{queue}:queued")
        if (mine := taken.get(queue.encode())) and left and min(left.values()) < max(mine):
            yield f"{queue} handed out {max(mine):.0f} and kept {min(left.values()):.0f}"
        if mine and any(step.members(f"q:{other}:queued") for other in earlier):
            yield f"{queue} handed out jobs before {earlier} was empty"
        if b"paused" not in (step.keys.get(f"q:{queue}:settings".encode()) or {}):
            earlier.append(queue)


def _misplaced(step: Step, job_id: bytes, was: Fields, job: Fields) -> Iterator[str]:
    queue = job.get(b"queue", b"")
    score = next(iter(step.places.of.get(job_id, {}).values()), None)
    if score is None or (was.get(b"status"), was.get(b"worker")) == (b"queued", None):
        return
    rank, sequence = divmod(int(score), 2**51)
    last = number(step.was(b"q:%s:settings" % queue) or {}, b"sequence")
    if rank != int(job.get(b"priority", 2)):
        yield f"{job_id} is of rank {job.get(b'priority', 2)} and placed at {score:.0f}"
    elif was.get(b"status") == b"running":
        if sequence != number(was, b"sequence"):
            yield f"{job_id} had place {was.get(b'sequence')} and came back at {sequence}"
    elif sequence <= last:
        yield f"{job_id} came in at {sequence}, before {last}, which was given already"


def _score(job: Fields, sequence: int) -> float:
    return int(job.get(b"priority", 2)) * 2**51 + sequence
