"""Rules of maintenance: promotion, the reaper, retention, ticks, and a server that forgot its scripts."""

from __future__ import annotations

from typing import Any

from ironforge.queue.maintaining import COMPLETED_KEPT, OUTAGE_MS
from tests.model.choices import Choices, chance, pick
from tests.model.delivery import deliver
from tests.model.machine import Expected, Machine, Verb
from tests.model.rules_time import LEASE_MS
from tests.model.rules_workers import LONG_MS

LAPSED = (
    '{"type": "WorkerLost", "message": "the worker\'s lease ran out and nobody saw why", "traceback": ""}'
)


def promote(machine: Machine, choices: Choices) -> None:
    limit = pick(choices, (500, 1, 2))

    def expect() -> Expected:
        moved = machine.model.promote(limit, machine.call.words(1))
        yield moved
        return lambda told: told == moved

    deliver(machine, choices, Verb(f"promote {limit}", lambda: machine.queue.promote_due(limit), expect))


def reap(machine: Machine, choices: Choices) -> None:
    deliver(machine, choices, _reap(machine, choices))


def watch(machine: Machine, choices: Choices) -> None:
    """A reaper that ticks in time, while those who keep leases may sleep."""
    asleep = chance(choices, 50)
    for _ in range(1 + choices.below(6)):
        machine.move_clock((OUTAGE_MS - choices.below(2)) * 1000)
        verb = _reap(machine, choices)
        machine.tell(f"clock {OUTAGE_MS} ms; {verb.words}")
        machine.do(verb)
        if not asleep and machine.model.workers:
            machine.do(_renew(machine, list(machine.model.workers)))


def _renew(machine: Machine, wids: list[str]) -> Verb:
    def expect() -> Expected:
        yield machine.model.renew(wids, LEASE_MS)
        return None

    return Verb("renew all", lambda: machine.queue.renew(*wids), expect)


def _reap(machine: Machine, choices: Choices) -> Verb:
    limit, lease_ms = pick(choices, (10, 1, 2)), pick(choices, (15_000, 15_000, 3_000, 1))

    def expect() -> Expected:
        reaped = machine.model.reap(lease_ms, OUTAGE_MS, limit, LAPSED)
        yield reaped
        return lambda told: told == sorted(wid.decode() for wid in reaped)

    return Verb(f"reap {limit}, lease {lease_ms}", lambda: machine.queue.reap(limit, lease_ms), expect)


def survey(machine: Machine, choices: Choices) -> None:
    """What is to do, asked with the product's bounds or with smaller ones."""
    every_ms, keep, lease_ms = (
        pick(choices, (2_000, 1, 5_000)),
        pick(choices, (10_000, 1, 0)),
        pick(choices, (LEASE_MS, 1)),
    )
    bounded = chance(choices, 50)
    if not bounded:
        keep, lease_ms = COMPLETED_KEPT, LEASE_MS

    def expect() -> Expected:
        words = machine.model.survey(lease_ms, OUTAGE_MS, keep, every_ms)
        yield words
        return lambda told: bounded or told == {word.decode() for word in words}

    def start() -> Any:
        if bounded:
            return machine.queue.survey_bounded(lease_ms, keep, every_ms)
        return machine.queue.survey(every_ms)

    deliver(machine, choices, Verb(f"survey, once in {every_ms} ms", start, expect))


def trim(machine: Machine, choices: Choices) -> None:
    limit, keep = pick(choices, (500, 1, 2)), pick(choices, (10_000, 1, 2, 0, 1))
    spend_s = pick(choices, (0, 1_000))  # one call, or as many as it takes

    def expect() -> Expected:
        gone = 0
        while True:
            removed = machine.model.trim(keep, limit, machine.call.words(2))
            gone += removed
            yield removed
            if removed < limit or not spend_s:
                return lambda told: told == gone

    words = f"trim {limit}, keeping {keep}{', to the end' if spend_s else ''}"
    deliver(machine, choices, Verb(words, lambda: machine.queue.trim(limit, keep, spend_s), expect))


def take_tick(machine: Machine, choices: Choices) -> None:
    every_ms = pick(choices, (LONG_MS // 100, LONG_MS // 10))

    def expect() -> Expected:
        word = machine.model.take_tick("reap", every_ms)
        yield word
        return lambda told: told == bool(word)

    deliver(
        machine,
        choices,
        Verb("take the reaper's tick", lambda: machine.queue.take_tick("reap", every_ms), expect),
    )


def flush_scripts(machine: Machine, choices: Choices) -> None:
    machine.tell("the server forgets its scripts")
    machine.flush_scripts()
