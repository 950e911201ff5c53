"""Waiting for an instant, and rows of the scorecard."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from tests.chaos.fleet import Fleet
from tests.chaos.scorecard import Row
from tests.waiting import eventually


async def until(moment: float) -> None:
    """Until `time.monotonic()` has passed it."""
    left_s = moment - time.monotonic()
    if left_s > 0:
        await eventually(lambda: time.monotonic() >= moment, left_s + 60)


async def during(seconds: float) -> None:
    """For so long."""
    await until(time.monotonic() + seconds)


def quantile(times_s: Sequence[float], share: float) -> float:
    """The nearest-rank quantile."""
    ordered = sorted(times_s)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def times_row(what: str, times_s: Sequence[float], at_most_s: float | None, share: float = 0.99) -> Row:
    """p50, p99 and the longest of these times; met when the quantile `share` is at most the target."""
    if not times_s:
        return Row(what, "none in 0", f"p{share * 100:.0f} ≤ {at_most_s:g} s" if at_most_s else "", None)
    half, most = quantile(times_s, 0.5), quantile(times_s, share)
    value = (
        f"p50 {half:.2f} s, p{share * 100:.0f} {most:.2f} s, longest {max(times_s):.2f} s of {len(times_s):,}"
    )
    if at_most_s is None:
        return Row(what, value)
    return Row(what, value, f"p{share * 100:.0f} ≤ {at_most_s:g} s", most <= at_most_s, timed=True)


def count_row(what: str, found: int, of: int, at_most: int = 0) -> Row:
    """How many of how many; met when at most so many."""
    return Row(
        what, f"{found:,} of {of:,}", f"{at_most:,}" if not at_most else f"≤ {at_most:,}", found <= at_most
    )


def all_row(what: str, found: int, of: int) -> Row:
    """How many of how many; met when it is all of them, and there are some."""
    return Row(what, f"{found:,} of {of:,}", "all", found == of and of > 0)


def clean_logs_row(fleet: Fleet) -> Row:
    """Workers that logged a traceback."""
    errors = fleet.errors()
    value = f"{len(errors)} of {fleet.started} logs" + "".join(f"\n{error}" for error in errors[:2])
    return Row("worker groups that logged a traceback", value, "0", not errors)
