"""Which tests run which statements: found by one run of all tests on scripts that say where they are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutants.child import Task
from tests.mutants.mutant import LUA, statements
from tests.mutants.pool import Outcome, Pool

# Stands before the prelude, and so before everything; a statement says it only once in a call.
_SAYS = "local said_ = {} local function at_(n) if not said_[n] then said_[n] = 1 redis.log(3, '@' .. n .. '@') end end "

Statement = tuple[str, int]  # the file, and where the statement begins in it


@dataclass(slots=True)
class Reach:
    """
    Attributes:
        tests: the tests that run a statement.
        seconds: how long each test takes.
        without_server: tests that speak to no server; nobody sees what they read.
    """

    tests: dict[Statement, set[int]] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[int, float] = field(default_factory=dict)
    without_server: set[int] = field(default_factory=set)


class TestsFail(Exception):
    """A test fails on the scripts as they are; the message names it."""


def measure(pool: Pool, names: list[str], jobs: int, *, model: bool, folder: Path = LUA) -> Reach:
    """Runs all tests once, and the model if it is wanted. Raises TestsFail."""
    numbers: list[Statement] = []
    texts = {
        path.stem: _speaking(path.stem, path.read_text(), numbers) for path in sorted(folder.glob("*.lua"))
    }
    reach = Reach()
    shares = [list(range(len(names)))[at::jobs] for at in range(jobs)]
    tasks = [Task("reach", texts, share, silence_s=300) for share in shares]
    if model:
        tasks.append(Task("model", {}, [], model=True, silence_s=300))
    for outcome in pool.run(tasks):
        _refuse_failure(outcome, names)
        for step in outcome.steps:
            if not isinstance(step.what, int):
                continue
            reach.seconds[step.what] = step.seconds
            if not step.reached:
                reach.without_server.add(step.what)
            for number in step.reached:
                reach.tests[numbers[number]].add(step.what)
    return reach


def _speaking(name: str, text: str, numbers: list[Statement]) -> str:
    """The file with a line of the server's log before each statement."""
    pieces: list[str] = []
    at = 0
    for start in sorted(set(statements(text))):
        pieces.append(f"{text[at:start]}at_({len(numbers)}) ")
        numbers.append((name, start))
        at = start
    return (_SAYS if name == "_prelude" else "") + "".join(pieces) + text[at:]


def _refuse_failure(outcome: Outcome, names: list[str]) -> None:
    if outcome.failed:
        what = outcome.failed.what
        name = names[what] if isinstance(what, int) else f"the {what}"
        raise TestsFail(f"{name} fails on the scripts as they are:\n{outcome.failed.why}")
    if outcome.hang:
        last = outcome.steps[-1].what if outcome.steps else None
        after = f", after {names[last]}" if isinstance(last, int) else ""
        raise TestsFail(f"a test on the scripts as they are does not end{after}")
