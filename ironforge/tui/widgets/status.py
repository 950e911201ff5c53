"""The header: who we look at, how the connection is, the totals, where we are; and the line of keys at the foot."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.style import Style

from ironforge.tui import words
from ironforge.tui.commands import Command
from ironforge.tui.store import Store
from ironforge.tui.theme import CYAN, DIM, EMBER, FADED, FAINT, GOLD, GREEN, INK, KEY, RED, VIOLET, style
from ironforge.tui.widgets.lines import Line, Lines, spread

_DOTS = {
    "starting": ("◌", DIM, "starting"),
    "live": ("●", GREEN, "live"),
    "lag": ("◐", GOLD, "lag"),
    "offline": ("○", RED, "OFFLINE"),
    "degraded": ("◌", GOLD, "degraded"),
    "poll": ("●", CYAN, "poll"),
    "denied": ("○", RED, "denied"),
}
_TABS = (
    ("1", "Overview", "overview"),
    ("2", "Jobs", "jobs"),
    ("3", "Dead", "dead"),
    ("4", "Workers", "workers"),
)


class Header(Lines):
    """Two lines; on a loss of the connection the second one is the banner."""

    DEFAULT_CSS = "Header { height: 2; background: $surface; padding: 0 1; }"

    def draw(self, store: Store, view: str, frozen: str) -> None:
        width = max(20, self.size.width)
        self.show([_totals(store, width), _banner(store, width) or _tabs(store, view, frozen, width)])


def _totals(store: Store, width: int) -> Line:
    dot, colour, word = _DOTS[store.link]
    place = str(store.hello.get("namespace") or "") or store.url.removeprefix("http://")
    heard = f" {words.age(store.quiet_s)}" if store.link in ("live", "lag") else ""
    left: Line = [
        ("⚒ ironforge", style(EMBER, bold=True)),
        (f" {place}" if place != "ironforge" else "", FADED),
        (f"  {dot} {word}", style(colour, bold=store.link != "live")),
        (heard, style(GOLD) if store.link == "lag" else FADED),
    ]
    stats = store.stats
    if not stats:
        return left
    dead = int(stats.get("dlq_depth") or 0)
    right: Line = [
        ("queued ", FADED), (words.count(stats.get("queue_depth")), style(INK, bold=True)),
        ("  run ", FADED), (f"{words.count(stats.get('active_jobs'))}/{words.count(stats.get('slots'))}", style(GOLD, bold=True)),
        ("  retry ", FADED), (words.count(stats.get("retrying")), style(VIOLET, bold=True)),
        ("  DEAD ", FADED), (words.count(dead), style(RED if dead else DIM, bold=True)),
        (f" ▲{store.new_dead}" if store.new_dead else "", style(RED)),
    ]  # fmt: skip
    return spread(left, right, width)


def _tabs(store: Store, view: str, frozen: str, width: int) -> Line:
    parts: Line = []
    for key, title, name in _TABS:
        here = name == view or (view == "job" and name == "jobs")
        parts += [
            (f"{key} ", KEY if here else style(FAINT)),
            (title, style(INK, bold=True) + Style(underline=True) if here else FADED),
            ("   ", FADED),
        ]
    mode = "RO" if store.read_only else "RW"
    right: Line = [(frozen, style(CYAN)), (f"  {mode}  {store.hello.get('role', '')}", FADED)]
    return spread(parts, right, width)


def _banner(store: Store, width: int) -> Line | None:
    if store.link in ("live", "lag", "poll"):
        return None
    since = time.strftime("%H:%M:%S", time.localtime(time.time() - (time.monotonic() - store.since)))
    tries = "" if store.next_try_s is None else "  ·  trying again  ·  r now"
    text = {
        "starting": f" {store.link_words} …",
        "offline": f" OFFLINE since {since}: {store.link_words}{tries}",
        "degraded": f" REDIS AWAY since {since}: {store.link_words}",
        "denied": f" DENIED: {store.link_words}",
    }[store.link]
    ground = {"starting": "#2a2f3a", "degraded": "#6b4a12"}.get(store.link, "#8c2222")
    return [
        (text.ljust(width)[:width], Style(color="#ffffff", bgcolor=ground, bold=store.link != "starting"))
    ]


class KeyBar(Lines):
    """The keys that do something to what is under the cursor."""

    DEFAULT_CSS = "KeyBar { height: 1; background: $surface; padding: 0 1; }"

    def draw(self, commands: Iterable[tuple[Command, str]]) -> None:
        """`commands` with the reason why each cannot be used now, empty when it can."""
        parts: Line = []
        for command, reason in commands:
            faint = style(FAINT)
            parts += [
                (command.shown, faint if reason else KEY),
                (f" {command.label}  ", faint if reason else FADED),
            ]
        self.show([parts])


class Flash(Lines):
    """What came of the last action."""

    DEFAULT_CSS = "Flash { height: 1; padding: 0 1; }"
    COLOURS = {"ok": GREEN, "info": CYAN, "warn": GOLD, "bad": RED}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._until = 0.0

    def say(self, text: str, tone: str = "info", for_s: float = 6.0) -> None:
        sign = {"ok": "✓", "info": "·", "warn": "!", "bad": "✗"}[tone]
        self.show([[(f"{sign} {text}", style(self.COLOURS[tone]))]])
        self._until = time.monotonic() + for_s

    def tick(self, idle: Line) -> None:
        if time.monotonic() > self._until:
            self.show([idle])
