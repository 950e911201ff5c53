from __future__ import annotations

import logging

import pytest

from ironforge import line_budget
from ironforge.line_budget import LINES_PER_S, LineBudget


def test_beyond_its_lines_a_second_is_summed_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(line_budget.time, "monotonic", lambda: now[0])
    log = logging.getLogger("ironforge.budget")
    budget = LineBudget(log, "and more", "things")
    with caplog.at_level(logging.INFO, "ironforge.budget"):
        assert sum(budget.allows_one() for _ in range(LINES_PER_S + 7)) == LINES_PER_S
        assert caplog.records == []
        now[0] = 101.0
        assert budget.allows_one()
        assert [(one.message, one.things) for one in caplog.records] == [("and more", 7)]  # type: ignore[attr-defined]
        budget.sum_up()
        assert len(caplog.records) == 1
    with caplog.at_level(logging.DEBUG, "ironforge.budget"):
        assert all(budget.allows_one() for _ in range(3 * LINES_PER_S))
