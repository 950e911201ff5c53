"""Numbers, ages and ids as people read them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil

SPARKS = "▁▂▃▄▅▆▇"  # not the full block: rows of a table would run into one another


def count(value: int | float | None) -> str:
    """1,234 below ten thousand, then 12.4k, 3.2M."""
    if value is None:
        return "-"
    if value < 10_000:
        return f"{value:,.0f}"
    for limit, unit in ((1e6, "k"), (1e9, "M"), (1e12, "G")):
        if value < limit:
            return f"{value / (limit / 1000):.1f}{unit}"
    return f"{value:.1e}"


def rate(value: float | None) -> str:
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.1f}" if value < 10 else count(value)


def age(seconds: float | None) -> str:
    """0.3s, 12s, 4m12s, 3h05m, 6d04h."""
    if seconds is None:
        return "-"
    sign = "-" if seconds < 0 else ""
    seconds = abs(seconds)
    if seconds < 10:
        return f"{sign}{seconds:.1f}s"
    if seconds < 60:
        return f"{sign}{seconds:.0f}s"
    if seconds < 3600:
        return f"{sign}{int(seconds) // 60}m{int(seconds) % 60:02d}s"
    if seconds < 86_400:
        return f"{sign}{int(seconds) // 3600}h{int(seconds) % 3600 // 60:02d}m"
    return f"{sign}{int(seconds) // 86_400}d{int(seconds) % 86_400 // 3600:02d}h"


def size(value: int | None) -> str:
    if value is None:
        return "-"
    for unit in ("B", "K", "M", "G"):
        if value < 1024 or unit == "G":
            return f"{value:.0f}{unit}"
        value = value // 1024
    return "-"


def short_id(job_id: str) -> str:
    """The last 12 characters: the first ones are the time, the same for a whole batch."""
    return job_id[-12:]


def clock(at_s: float | None, mode: str = "relative", now_s: float | None = None) -> str:
    """An instant as `3m ago` / `in 12s`, as local time, or as UTC."""
    if at_s is None:
        return "-"
    if mode == "utc":
        return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%SZ")
    if mode == "local":
        return time.strftime("%H:%M:%S", time.localtime(at_s))
    away_s = at_s - (time.time() if now_s is None else now_s)
    return f"in {age(away_s)}" if away_s > 0.5 else f"{age(max(0.0, -away_s))} ago"


def spark(values: Sequence[float], width: int) -> str:
    """All values as a line of so many blocks: stretched, or the largest of neighbours."""
    if not values or width <= 0:
        return ""
    count, top, last = len(values), max(values), len(SPARKS) - 1
    if top <= 0:
        return SPARKS[0] * width
    shown = [
        max(values[at * count // width : max(at * count // width + 1, (at + 1) * count // width)])
        for at in range(width)
    ]
    return "".join(SPARKS[max(0, min(last, ceil(value / top * last)))] for value in shown)


def bar(share: float, width: int) -> str:
    """A bar of `width` cells; what is not nothing has at least one."""
    full = min(width, max(round(share * width), share > 0))
    return "▇" * full + "▁" * (width - full)


def fraction_of(text_width: int, share: float) -> str:
    """A bar and per cent in so many cells, at least six."""
    return f"{bar(share, max(1, text_width - 5))} {min(1.0, max(0.0, share)):>4.0%}"


def place(where: str) -> str:
    """`/srv/app/shop/billing.py:88 charge` as `shop/billing.py:88 charge`."""
    path, space, rest = where.partition(" ")
    return "/".join(path.split("/")[-2:]) + space + rest
