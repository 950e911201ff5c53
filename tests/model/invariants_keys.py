"""Invariants of the key space: names, ends, and the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.mirror import kind_of
from tests.model.step import History, Step

MAX_KINDS = 200
_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
_ALONE = (b"queues", b"kinds", b"workers", b"stats", b"meta", b"dead:groups")


def ledger(step: Step, history: History) -> Iterator[str]:
    if b"stats" not in step.old and not step.ids:
        return
    sums = {b"submitted": 0, b"completed": 0, b"dlq": 0}
    for name, value in step.keys.get(b"stats", {}).items():
        what = name.partition(b"|")[0]
        if what in sums:
            sums[what] += int(value)
    present = removed = completed = deaths = 0
    for _, was, job in step.moved():
        present += bool(job) - bool(was)
        removed += bool(was) and not job
        ended = job.get(b"status") if job.get(b"status") != was.get(b"status") else None
        completed += ended == b"completed"
        deaths += ended == b"dead"
    there = history.submitted - history.removed + present
    if sums[b"submitted"] != there + history.removed + removed:
        yield f"{sums[b'submitted']} submitted, {there} present, {history.removed + removed} removed"
    if sums[b"completed"] != history.completed + completed:
        yield f"{sums[b'completed']} completions counted, {history.completed + completed} seen"
    if sums[b"dlq"] != history.deaths + deaths:
        yield f"{sums[b'dlq']} deaths counted, {history.deaths + deaths} seen"


def names(step: Step, history: History) -> Iterator[str]:
    for name in step.old:
        if name not in step.keys:
            continue
        kind = kind_of(name)
        if kind is None:
            yield f"{name} is no key of ours"
        elif isinstance(step.keys[name], tuple):
            yield f"{name} is a {step.keys[name][0]}, not a {kind}"


def bounded(step: Step, history: History) -> Iterator[str]:
    for name in step.old:
        if name in step.keys and kind_of(name) is not None and (problem := _unbounded(step, name)):
            yield problem
    if any(name in step.old for name in (b"workers", b"queues", b"dead:groups")):
        for name in step.keys:
            if name.startswith((b"worker:", b"q:", b"dead:group:")) and (problem := _unbounded(step, name)):
                yield problem


def _unbounded(step: Step, name: bytes) -> str | None:
    family, _, rest = name.partition(b":")
    ttl = step.ttls.get(name)
    if family in (b"idem", b"lock", b"tick") or (family == b"stats" and rest):
        longest = {b"idem": _DAY_MS, b"stats": _HOUR_MS}.get(family)
        if ttl is None or (longest is not None and ttl > longest):
            return f"{name} ends in {ttl} ms"
        return None
    if ttl is not None:
        return f"{name} would end by itself in {ttl} ms"
    if family == b"q" and rest.partition(b":")[0] not in step.keys.get(b"queues", ()):
        return f"{name} is of a queue that is not among the queues"
    if family == b"worker" and rest.partition(b":")[0] not in step.members("workers"):
        return f"{name} is of a worker that is not registered"
    if name.startswith(b"dead:group:") and name[11:] not in step.members("dead:groups"):
        return f"{name} is of a group that is not among the groups"
    if name == b"kinds" and len(step.keys[name]) > MAX_KINDS:
        return f"{len(step.keys[name])} kinds have a label"
    if family not in (b"job", b"q", b"worker") and name not in _ALONE and not name.startswith(b"dead:group:"):
        return f"{name} is bounded by nothing"
    return None
