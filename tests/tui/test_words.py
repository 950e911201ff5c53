from __future__ import annotations

import pytest

from ironforge.tui import words
from ironforge.tui.widgets.chart import heights


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (9_999, "9,999"), (12_400, "12.4k"), (3_200_000, "3.2M"), (None, "-")]
)
def test_count(value: int | None, shown: str) -> None:
    assert words.count(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.31, "0.3s"), (59, "59s"), (252, "4m12s"), (11_100, "3h05m"), (532_800, "6d04h"), (-3, "-3.0s")],
)
def test_age(seconds: float, shown: str) -> None:
    assert words.age(seconds) == shown


def test_ids_are_told_apart_by_their_end() -> None:
    assert words.short_id("019ab1c2-6d1f-7000-8a2b-3c4d5e6f7081") == "3c4d5e6f7081"


def test_spark_and_bar() -> None:
    assert words.spark([0, 1, 8], 3) == "▁▂▇"
    assert words.spark([], 5) == ""
    assert words.spark([0, 0], 4) == "▁▁▁▁"
    assert words.spark([0, 0, 0, 9, 0, 0], 3) == "▁▇▁", "the largest of neighbours"
    assert words.spark([0, 9], 4) == "▁▁▇▇", "few are stretched"
    assert words.bar(0.5, 4) == "▇▇▁▁"
    assert words.bar(7, 3) == "▇▇▇"
    assert words.bar(0.001, 3) == "▇▁▁", "what is not nothing is seen"


def test_a_chart_shows_the_least_and_the_most() -> None:
    assert heights([0, 0], 4, 8) == [0, 0, 0, 0]
    found = heights([0, 0.001, 10], 5, 8)
    assert found[0] == 0 and found[2] == 1 and found[-1] == 8
