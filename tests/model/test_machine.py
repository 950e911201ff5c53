"""Random transitions on the shipped scripts: a part chosen by Hypothesis, which shrinks best, the rest by the plain driver."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import ironforge.queue
from tests.model import drive
from tests.model.machine import Machine
from tests.model.rules import RULES, Rule
from tests.model.wire import Wire

LUA = Path(ironforge.queue.__file__).parent / "lua"
TRANSITIONS = 50_000  # in all, in parts, so that each ends in time also on a busy machine
PARTS = 5
BY_HYPOTHESIS = 60  # sequences of up to 50 rules
SEED = int(os.environ.get("IRONFORGE_MODEL_SEED", "") or int.from_bytes(os.urandom(3)))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_scripts_do_what_the_model_says(part: int, url: str) -> None:
    first = part * 1_000_000
    report = drive.run(url, SEED, TRANSITIONS // PARTS, first_episode=first)
    replay = f"./forge prove --seed {SEED} --episode {report.episode}"
    assert report.failure is None, f"replay with: {replay}\n{report.failure}"
    assert report.counts.transitions >= TRANSITIONS // PARTS


class _Drawn:
    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def below(self, bound: int) -> int:
        return self._data.draw(st.integers(0, bound - 1))


@pytest.mark.timeout(600)
def test_hypothesis_finds_no_sequence_either(url: str) -> None:
    wire = Wire(url)
    machine = Machine(wire)

    class Sequences(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            machine.reset()

        def teardown(self) -> None:
            note("\n".join(machine.told))

    for one in RULES:
        setattr(Sequences, one.name, _as_method(machine, one))
    quick = settings(
        max_examples=BY_HYPOTHESIS,
        stateful_step_count=50,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Sequences, settings=quick)
    assert machine.counts.transitions >= 500
    machine.close()
    wire.close()


def _as_method(machine: Machine, one: Rule) -> Any:
    def step(self: Any, data: st.DataObject) -> None:
        one.apply(machine, _Drawn(data))

    step.__name__ = one.name
    return rule(data=st.data())(step)


def test_a_mistake_is_found_cut_down_and_played_again(url: str, tmp_path: Path) -> None:
    lua = tmp_path / "lua"
    shutil.copytree(LUA, lua)
    path = lua / "progress.lua"
    path.write_text(
        path.read_text().replace("job[1] ~= 'running' or job[2] ~= ARGV[2]", "job[1] ~= 'running'")
    )
    found = drive.run(url, SEED, TRANSITIONS, lua)
    assert found.failure is not None and found.episode is not None
    assert 4 in found.numbers
    steps = int(found.failure.split()[1])
    assert steps <= 12, found.failure
    again = drive.run(url, SEED, 1, lua, first_episode=found.episode, shrink=False)
    assert again.numbers == found.numbers
