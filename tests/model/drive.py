"""The plain driver: seeded random sequences of rules, each on an empty server; a failing one is cut down.

found = run(url, seed=7, transitions=50_000)
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from tests.model.choices import RandomChoices, RecordedChoices
from tests.model.machine import Counts, Failure, Machine
from tests.model.rules import FIRST, LAST, RULES, Rule
from tests.model.wire import Wire

STEPS_PER_EPISODE = 160
_SHRINK_S = 30.0
_WEIGHTS = list(accumulate(rule.weight for rule in RULES))

Played = list[tuple[Rule, list[int]]]


@dataclass(slots=True)
class Report:
    """What a run did.

    Attributes:
        failure: None, or what went wrong, with the shortest sequence found that leads there.
        numbers: of the invariants that broke, empty when only the model disagreed.
        episode: the failing one; it is played again by its seed and number alone.
    """

    seed: int
    counts: Counts = field(default_factory=Counts)
    episodes: int = 0
    seconds: float = 0.0
    failure: str | None = None
    numbers: tuple[int, ...] = ()
    episode: int | None = None


def run(
    url: str,
    seed: int,
    transitions: int,
    package_lua_dir: Path | None = None,
    *,
    first_episode: int = 0,
    shrink: bool = True,
    tell: Callable[[Report], None] | None = None,
) -> Report:
    """Plays episodes until so many transitions were checked, or one failed.

    Args:
        url: unix://… of a server that is ours alone: it is emptied again and again.
        package_lua_dir: a folder of scripts to use instead of the shipped ones.
        first_episode: where to begin; an episode depends on the seed and its number only.
        shrink: cut a failing sequence down, for at most half a minute.
        tell: called after each episode.
    """
    wire = Wire(url)
    report = Report(seed)
    began = time.monotonic()
    try:
        machine = Machine(wire, package_lua_dir)
        report.counts = machine.counts
        while machine.counts.transitions < transitions and report.failure is None:
            played: Played = []
            try:
                _episode(machine, seed, first_episode + report.episodes, played)
            except Exception as error:
                report.episode = first_episode + report.episodes
                report.numbers = error.numbers if isinstance(error, Failure) else ()
                report.failure = _told(Machine(wire, package_lua_dir), played, error, shrink=shrink)
            report.episodes += 1
            report.seconds = time.monotonic() - began
            if tell:
                tell(report)
        machine.close()
    finally:
        wire.close()
    report.seconds = time.monotonic() - began
    return report


def _episode(machine: Machine, seed: int, number: int, played: Played) -> None:
    source = random.Random(f"{seed}/{number}")
    machine.reset()
    for rule in FIRST:
        if source.randrange(rule.weight) == 0:
            _apply(machine, rule, source, played)
    for _ in range(STEPS_PER_EPISODE):
        rule = RULES[_chosen(source)]
        _apply(machine, rule, source, played)
    for rule in LAST:
        if source.randrange(rule.weight) == 0:
            _apply(machine, rule, source, played)


def _chosen(source: random.Random) -> int:
    at = source.randrange(_WEIGHTS[-1])
    return next(index for index, weight in enumerate(_WEIGHTS) if at < weight)


def _apply(machine: Machine, rule: Rule, source: random.Random, played: Played) -> None:
    choices = RandomChoices(source)
    played.append((rule, choices.drawn))
    machine.counts.rules[rule.name] = machine.counts.rules.get(rule.name, 0) + 1
    rule.apply(machine, choices)


def _told(machine: Machine, played: Played, error: Exception, *, shrink: bool) -> str:
    shortest = _shortened(machine, played) if shrink else played
    found = _failure_of(machine, shortest) or error
    lines = [f"  {at:3} {words}" for at, words in enumerate(machine.told, 1)]
    return "\n".join(
        [f"after {len(shortest)} of {len(played)} steps:", *lines, f"{type(found).__name__}: {found}"]
    )


def _failure_of(machine: Machine, played: Sequence[tuple[Rule, list[int]]]) -> Exception | None:
    """Plays a record on an empty server."""
    machine.reset()
    try:
        for rule, drawn in played:
            rule.apply(machine, RecordedChoices(drawn))
    except Exception as error:
        return error
    return None


def _shortened(machine: Machine, played: Played) -> Played:
    """Leaves out ever smaller pieces, as long as what is left still fails; single steps until none of them can go."""
    deadline = time.monotonic() + _SHRINK_S
    piece = len(played) // 2
    while piece and time.monotonic() < deadline:
        before, at = len(played), 0
        while at < len(played) and time.monotonic() < deadline:
            shorter = played[:at] + played[at + piece :]
            if _failure_of(machine, shorter):
                played = shorter
            else:
                at += piece
        if piece > 1 or len(played) == before:
            piece //= 2
    return played
