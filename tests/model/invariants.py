"""The invariants, numbered as in the study of what a scheduler must never do. Each is judged by one call's step.

17 (a cron tick makes at most one job) comes with cron. 23 is ours: what the suspects are for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.model import invariants_calls as calls
from tests.model import invariants_jobs as jobs
from tests.model import invariants_keys as keys
from tests.model.step import History, Step


class Invariant(NamedTuple):
    number: int
    sentence: str
    broken: Callable[[Step, History], Iterator[str]]


INVARIANTS = (
    Invariant(1, "A job is in exactly one index: the one that its status names.", jobs.one_index),
    Invariant(2, "No id in an index or group lacks its job, no job lacks its index or group.", jobs.no_ghosts),
    Invariant(3, "No two claims of a job carry the same fence, and deliveries never fall.", jobs.fences_are_new),
    Invariant(4, "A write under an old fence, or by a worker that is gone, changes nothing.", calls.stale_writes),
    Invariant(5, "A running job has one holder, the worker and fence that its hash names.", jobs.one_holder),
    Invariant(6, "Every running job is claimed under a lease, every claim is of a running job.", jobs.leases),
    Invariant(7, "A tick of the reaper takes every lapsed worker, no other, and none after an outage.", calls.reaping),
    Invariant(8, "Retries, crashes and lapses stay within their limits and deliveries.", jobs.limits),
    Invariant(9, "A job that ended changes only by retry, deletion or retention.", jobs.ends_are_final),
    Invariant(10, "A job is ready not before it is due, and not after the next promotion.", calls.due_times),
    Invariant(11, "What was accepted, payload included, stays as it was, byte for byte.", jobs.accepted_bytes),
    Invariant(12, "An Idempotency-Key stands for one request and one job.", calls.idempotency),
    Invariant(13, "An operator's call has one effect, the one that its answer tells.", calls.operator_answers),
    Invariant(14, "A job ends once per generation, and a running one is never deleted.", jobs.one_end),
    Invariant(15, "Submitted = present + removed; ends counted = ends seen.", keys.ledger),
    Invariant(16, "An accepted job is there until it is removed on purpose, and none was not submitted.", jobs.accepted_jobs),
    Invariant(18, "A paused queue hands out nothing; pause and resume lose nothing.", calls.pausing),
    Invariant(19, "Each end of a run leaves one attempt, in order, and each change of a queue one more change.", jobs.records),
    Invariant(20, "No key outside the namespace, its slot and its table of names.", keys.names),
    Invariant(21, "No key without an end, or an index that bounds it.", keys.bounded),
    Invariant(22, "Strict priority, and first in, first out within one.", calls.order),
    Invariant(23, "A suspect runs alone.", jobs.suspects_alone),
)  # fmt: skip


def broken(step: Step, history: History) -> list[tuple[int, str]]:
    """(number, what is wrong) for every invariant that does not hold after this step."""
    return [(one.number, problem) for one in INVARIANTS for problem in one.broken(step, history)]
