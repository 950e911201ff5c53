"""Is a history of concurrent operations on one job what some serial order of them would have given?

Each operation has an interval, from its call to its answer; somewhere within, it happened. The search goes through the
orders that the intervals allow, with the state machine of a job as the model. Histories are short: one per job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple


class Op(NamedTuple):
    """One operation.

    Attributes:
        verb: retry, delete, run, cancel, claim, settle, take_back or get.
        about: settle: `fence|outcome`; claim: the worker; take_back: workers that were taken from, by spaces.
        answer: the word of the script; claim: the fence that was given, or ''; get: the status, or 'missing'.
        called, answered: instants that grow; no two are the same.
    """

    verb: str
    about: str
    answer: str
    called: int
    answered: int


@dataclass(frozen=True, slots=True)
class State:
    """Of one job, as much as answers depend on. `status` is '' once it is deleted."""

    status: str = "queued"
    worker: str = ""
    fence: str = ""
    cancel_requested: bool = False
    settled: str = ""


def step(state: State, op: Op) -> State | None:
    """The state after an operation; None where it could not have answered so."""
    match op.verb:
        case "get":
            return state if op.answer == (state.status or "missing") else None
        case "claim":
            return _claim(state, op)
        case "settle":
            return _settle(state, op)
        case "take_back":
            if state.status == "running" and state.worker in op.about.split():
                return _ended(state, "cancelled" if state.cancel_requested else "queued")
            return state
        case _:
            return _operate(state, op)


def _claim(state: State, op: Op) -> State | None:
    if not op.answer:
        return None if state.status == "queued" else state
    if state.status != "queued":
        return None
    return replace(state, status="running", worker=op.about, fence=op.answer)


_OUTCOMES = {
    "completed": "completed",
    "retry": "retrying",
    "dead": "dead",
    "cancelled": "cancelled",
    "released": "queued",
}


def _settle(state: State, op: Op) -> State | None:
    fence, outcome = op.about.split("|")
    if state.status == "running" and state.fence == fence:
        if op.answer != "ok":
            return None
        asked = state.cancel_requested and outcome != "completed"
        return replace(_ended(state, "cancelled" if asked else _OUTCOMES[outcome]), settled=fence)
    known = bool(state.status) and state.settled == fence
    return state if op.answer == ("already" if known else "refused") else None


def _ended(state: State, status: str) -> State:
    return replace(state, status=status, worker="", cancel_requested=False)


_FROM = {
    "retry": ("dead", "cancelled"),
    "run": ("scheduled", "retrying"),
    "cancel": ("queued", "scheduled", "retrying"),
}


def _operate(state: State, op: Op) -> State | None:
    if not state.status:
        return state if op.answer == "missing" else None
    if op.answer == "missing" and op.verb in _FROM:
        # It reads the job after it changed it, and finds that another deleted it meanwhile.
        op = op._replace(answer="requested" if op.verb == "cancel" and state.status == "running" else "done")
    if op.verb == "delete":
        if state.status == "running":
            return state if op.answer == "running" else None
        return State(status="") if op.answer == "deleted" else None
    if op.verb == "cancel" and state.status == "running":
        return replace(state, cancel_requested=True) if op.answer == "requested" else None
    if state.status in _FROM[op.verb]:
        status = "cancelled" if op.verb == "cancel" else "queued"
        return replace(state, status=status) if op.answer == "done" else None
    return state if op.answer == state.status else None


def is_linearizable(ops: Sequence[Op], begin: State = State()) -> bool:
    """Whether some order explains every answer (Wing and Gong's search, with what was tried remembered)."""
    tried: set[tuple[int, State]] = set()
    waiting = [(0, begin)]
    everything = (1 << len(ops)) - 1
    while waiting:
        done, state = waiting.pop()
        if done == everything:
            return True
        left = [at for at in range(len(ops)) if not done >> at & 1]
        earliest = min(ops[at].answered for at in left)
        for at in left:
            # One that was called after another had been answered happened after it.
            if ops[at].called > earliest:
                continue
            after = step(state, ops[at])
            if after is not None and (found := (done | 1 << at, after)) not in tried:
                tried.add(found)
                waiting.append(found)
    return False
