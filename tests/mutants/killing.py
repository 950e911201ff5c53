"""Sets the tests on the mutants: first those of the mutated script, then the others that run the line, then the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from tests.mutants.child import Task
from tests.mutants.mutant import LUA, Mutant
from tests.mutants.pool import Outcome, Pool
from tests.mutants.reach import Reach

_NAMED = re.compile(r"(\w+)\.lua")
_CLOCK = re.compile(r"\blocal now_us =")
_USES = re.compile(r"^-- Uses: (.+)$", re.MULTILINE)


class Fate(StrEnum):
    SCRIPT = "killed by the script's own tests"
    QUEUE = "killed by other tests of the queue"
    MODEL = "killed by the model"
    TIMEOUT = "killed: it does not end"
    SURVIVED = "survived"
    NO_LUA = "not compilable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """by: the test that failed, for those that were killed; why: what it said."""

    mutant: Mutant
    fate: Fate
    by: str = ""
    why: str = ""

    @property
    def killed(self) -> bool:
        return self.fate not in (Fate.SURVIVED, Fate.NO_LUA)


def scripts_with(file: str, folder: Path = LUA) -> list[str]:
    """The scripts that a file of the folder is part of."""
    names = sorted(path.stem for path in folder.glob("[a-z]*.lua"))
    if not file.startswith("_"):
        return [file]
    if file == "_prelude":
        return names
    uses = {name: _USES.search((folder / f"{name}.lua").read_text()) for name in names}
    return [name for name, found in uses.items() if found and file.removeprefix("_") in found[1].split(", ")]


def kill(
    pool: Pool, items: Sequence[pytest.Item], mutants: Sequence[Mutant], reach: Reach | None, model: bool
) -> Iterator[Verdict]:
    """Verdicts as they come.

    Args:
        reach: which tests run which statements; None to set the script's own tests on all mutants, and no others.
        model: whether those that all tests let live are shown to the model.
    """
    about = [_scripts_of(item) for item in items]
    tasks = [_task(mutant, about, reach, model) for mutant in mutants]
    for outcome in pool.run(tasks):
        yield _verdict(outcome, items, about)


def _scripts_of(item: pytest.Item) -> set[str]:
    """The scripts that a test is about: its file is called after one, or begins with their names."""
    module = item.getparent(pytest.Module)
    described = str(getattr(module and module.obj, "__doc__", None) or "")
    return {Path(item.path).stem.removeprefix("test_"), *_NAMED.findall(described)}


def _task(mutant: Mutant, about: list[set[str]], reach: Reach | None, model: bool) -> Task:
    own = scripts_with(mutant.file)
    if reach:
        chosen = list(reach.tests[mutant.file, mutant.statement] | reach.without_server)
        chosen.sort(key=lambda at: (about[at].isdisjoint(own), reach.seconds[at]))
    else:
        chosen = [at for at, names in enumerate(about) if not names.isdisjoint(own)]
    model = model and not _CLOCK.search(mutant.before)  # the model puts its own clock there
    return Task(mutant, {mutant.file: mutant.text}, chosen, compiled=own[0], model=model)


def _verdict(outcome: Outcome, items: Sequence[pytest.Item], about: list[set[str]]) -> Verdict:
    mutant: Mutant = outcome.task.key
    failed = outcome.failed
    if failed and failed.what == "child":
        raise RuntimeError(f"{mutant.name}: {failed.why}")
    if failed and failed.what == "compile":
        return Verdict(mutant, Fate.NO_LUA, why=failed.why)
    if outcome.hang:
        return Verdict(mutant, Fate.TIMEOUT)
    if not failed:
        return Verdict(mutant, Fate.SURVIVED)
    if failed.what == "model":
        return Verdict(mutant, Fate.MODEL, "model", failed.why)
    assert isinstance(failed.what, int)
    own = not about[failed.what].isdisjoint(scripts_with(mutant.file))
    return Verdict(mutant, Fate.SCRIPT if own else Fate.QUEUE, items[failed.what].nodeid, failed.why)
