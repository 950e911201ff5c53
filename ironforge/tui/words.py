"""Numbers, ages and ids as people read them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

SPARKS = "▁▂▃▄▅▆▇█"


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


def epoch_s(instant: str | None) -> float | None:
    """Unix seconds of an RFC 3339 instant; None for none, or for what is none."""
    if not instant:
        return None
    try:
        return datetime.fromisoformat(instant).timestamp()
    except ValueError:
        return None


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


def spark(values: list[float], width: int) -> str:
    """The last `width` values as a line of blocks."""
    shown = values[-width:]
    top = max(shown, default=0)
    if top <= 0:
        return SPARKS[0] * len(shown)
    return "".join(SPARKS[min(7, int(value / top * 7.99))] if value > 0 else SPARKS[0] for value in shown)


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, in eighths."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width, "·")[:width]


def place(where: str) -> str:
    """`/srv/app/shop/billing.py:88 charge` as `shop/billing.py:88 charge`."""
    path, space, rest = where.partition(" ")
    return "/".join(path.split("/")[-2:]) + space + rest
