"""docs/doctor.md names every rule, under the invariant that rules.py says it belongs to."""

from __future__ import annotations

import re

from ironforge.queue.rules import RULES
from tests.system.processes import ROOT


def test_every_rule_is_told_under_its_invariant() -> None:
    rows = re.findall(
        r"^\| (\d+) \|.*\| ([^|]*) \|$", (ROOT / "docs" / "doctor.md").read_text(), re.MULTILINE
    )
    told = {name: int(number) for number, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == {name: rule.invariant for name, rule in RULES.items()}
