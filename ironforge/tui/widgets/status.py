"""The header: who we look at, how the connection is, the totals, where we are; and the line of keys at the foot."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from textual import events
from textual.message import Message

from ironforge.tui import words
from ironforge.tui.commands import Command
from ironforge.tui.models import Stats
from ironforge.tui.store import Store
from ironforge.tui.theme import (
    BANNER_BAD,
    BANNER_CALM,
    BANNER_WARN,
    CYAN,
    DIM,
    EMBER,
    FADED,
    FAINT,
    GOLD,
    GREEN,
    INK,
    KEY,
    ON_BANNER,
    RED,
    VIOLET,
    Look,
    style,
)
from ironforge.tui.widgets.lines import Line, Lines, spread, squeezed, width_of

_DOTS = {
    "starting": ("◌", DIM, "starting"),
    "live": ("●", GREEN, "live"),
    "lag": ("◐", GOLD, "lag"),
    "offline": ("○", RED, "OFFLINE"),
    "degraded": ("◌", GOLD, "degraded"),
    "poll": ("●", CYAN, "poll"),
    "denied": ("○", RED, "DENIED"),
}
_TABS = (
    ("1", "Overview", "overview"),
    ("2", "Jobs", "jobs"),
    ("3", "Dead", "dead"),
    ("4", "Workers", "workers"),
)
_WIDE = 160


@dataclass(frozen=True, slots=True)
class Doing:
    """What the console itself does: the view, what is frozen, and how much it asks."""

    view: str
    frozen: str = ""
    requests_per_s: float = 0.0


class Header(Lines):
    """Two lines; on a loss of the connection a third one between them is the banner."""

    DEFAULT_CSS = "Header { height: 2; background: $surface; padding: 0 1; } Header.-banner { height: 3; }"

    def draw(self, store: Store, doing: Doing) -> None:
        width = max(20, self.size.width)
        banner = _banner(store, width)
        self.set_class(banner is not None, "-banner")
        totals = _totals(store, doing, width)
        self.show([totals, *([banner] if banner else []), _tabs(store, doing, width)])


def _totals(store: Store, doing: Doing, width: int) -> Line:
    dot, colour, word = _DOTS[store.link]
    place = store.hello.namespace or store.url.removeprefix("http://")
    heard = f" {store.quiet_s:.1f}s" if store.link in ("live", "lag") else ""
    left: Line = [
        ("⚒ ironforge", style(EMBER, bold=True)),
        (f" {place}" if place != "ironforge" else "", FADED),
        (f"  {dot} {word}", style(colour, bold=store.link != "live")),
        (heard, style(GOLD) if store.link == "lag" else FADED),
    ]
    if not store.known:
        return left
    told = store.told_at_s if store.dimmed or store.link == "degraded" else None
    dated: Line = [(time.strftime(" @%H:%M:%S", time.localtime(told)), style(GOLD))] if told else []
    wide = width >= _WIDE
    rates = _rates(store.stats, doing) if wide else []
    counts = _counts(store, wide)
    # What does not fit goes from the left: the dead and the date of old numbers stay longest.
    while counts and width_of([*left, *counts, *rates, *dated]) + 1 > width:
        counts = counts[2:]
    return spread(left, [*counts, *rates, *dated], width)


def _counts(store: Store, wide: bool) -> Line:
    stats, calm = store.stats, store.dimmed

    def part(name: str, text: str, colour: str, on: object) -> Line:
        look = style(DIM if calm or not on else colour, bold=bool(on) and not calm)
        return [(f"  {name} ", FADED), (text, look)]

    parts = part("queued", words.count(stats.queue_depth), INK, True)
    parts += part(
        "running" if wide else "run",
        f"{words.count(stats.running)}/{words.count(stats.slots)}",
        GOLD,
        stats.running,
    )
    parts += part("retrying" if wide else "retry", words.count(stats.retrying), VIOLET, stats.retrying)
    if wide:
        parts += part("scheduled", words.count(stats.scheduled), CYAN, stats.scheduled)
    parts += part("DEAD", words.count(stats.dead), RED, stats.dead)
    if store.new_dead and not calm:
        parts.append((f" ▲{store.new_dead}", style(RED)))
    return parts


def _rates(stats: Stats, doing: Doing) -> Line:
    return [
        ("   done ", FADED), (f"{words.rate(stats.throughput)}/s", style(GREEN if stats.throughput else DIM)),
        ("  failed ", FADED), (f"{words.rate(stats.failing)}/s", style(RED if stats.failing else DIM)),
        ("  wait p50 ", FADED), (words.age(stats.wait_p50_s), style(INK)),
        (" p99 ", FADED), (words.age(stats.wait_p99_s), style(INK)),
        (f"   console {doing.requests_per_s:.1f} req/s", style(FAINT)),
    ]  # fmt: skip


def _tabs(store: Store, doing: Doing, width: int) -> Line:
    parts: Line = []
    for key, title, name in _TABS:
        here = name == doing.view or (doing.view == "job" and name == "jobs")
        parts += [
            (f"{key} ", KEY if here else style(FAINT)),
            (title, style(INK, bold=True, underline=True) if here else FADED),
            ("   ", FADED),
        ]
    locked = store.read_only or store.locked
    mode = "read only" if locked else "RW"
    clock = time.strftime("   %H:%M:%S", time.localtime(store.server_now_s)) if width >= 100 else ""
    frozen: Line = [(doing.frozen, style(CYAN, bold=True))] if doing.frozen else []
    right: Line = [
        *frozen,
        (f"  {mode}", style(GOLD if locked else DIM)),
        (f"  {store.hello.role}{clock}", FADED),
    ]
    return (
        spread(parts, right, width)
        if width_of(parts) + width_of(right) < width
        else squeezed(parts, frozen, width)
    )


def _banner(store: Store, width: int) -> Line | None:
    if store.link in ("live", "lag", "poll"):
        return None
    for_s = f"{store.for_s:.0f} s"
    text = {
        "starting": f" {store.link_words} …",
        "offline": f" OFFLINE {for_s}: {store.link_words}.{_next_try(store)}",
        "degraded": f" REDIS AWAY {for_s}: {store.link_words}.",
        "denied": f" DENIED: {store.link_words}",
    }[store.link]
    ground = {"starting": BANNER_CALM, "degraded": BANNER_WARN}.get(store.link, BANNER_BAD)
    look = style(ON_BANNER, bold=store.link != "starting", ground=ground)
    return [(text.ljust(width) if len(text) <= width else text[: width - 1] + "…", look)]


def _next_try(store: Store) -> str:
    if store.next_try_at is None:
        return " r tries again"
    left = store.next_try_at - store.clock()
    return f" Next try in {left:.0f} s. r: now" if left >= 0.5 else " Trying again. r: now"


ALWAYS = ("line", "menu", "help")  # on the line of keys, however short it is


def _room(shown: tuple[Command, str]) -> int:
    return len(shown[0].shown) + len(shown[0].label) + 3


class KeyBar(Lines):
    """The keys that do something to what is under the cursor. A click is as good."""

    DEFAULT_CSS = "KeyBar { height: 1; background: $surface; padding: 0 1; }"

    class Chosen(Message):
        def __init__(self, command_id: str) -> None:
            super().__init__()
            self.command_id = command_id

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ends: list[tuple[int, str]] = []

    def draw(self, commands: Iterable[tuple[Command, str]]) -> None:
        """`commands` with the reason why each cannot be used now, empty when it can."""
        shown = list(commands)
        while len(shown) > len(ALWAYS) and sum(map(_room, shown)) - 2 > self.size.width:
            at = max(at for at, (command, _) in enumerate(shown) if command.id not in ALWAYS)
            shown.pop(at)
        parts: Line = []
        self._ends = []
        for command, reason in shown:
            parts += [
                (command.shown, style(FAINT) if reason else KEY),
                (f" {command.label}  ", style(FAINT) if reason else FADED),
            ]
            self._ends.append((width_of(parts), command.id))
        if parts:
            parts[-1] = (parts[-1][0].rstrip(), parts[-1][1])
        self.show([parts])

    def on_click(self, event: events.Click) -> None:
        chosen = next((command_id for end, command_id in self._ends if event.x - 1 < end), None)
        if chosen:
            self.post_message(self.Chosen(chosen))


class Flash(Lines):
    """What came of the last action."""

    DEFAULT_CSS = "Flash { height: 1; padding: 0 1; }"
    TONES = {"ok": ("✓", GREEN), "info": ("·", CYAN), "warn": ("!", GOLD), "bad": ("✗", RED)}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._until = 0.0

    def say(self, text: str, tone: str = "info", for_s: float = 6.0) -> None:
        sign, colour = self.TONES[tone]
        look: Look = style(colour)
        self.show([[(f"{sign} {text}", look)]])
        self._until = time.monotonic() + for_s

    def tick(self, idle: Line) -> None:
        if time.monotonic() > self._until:
            self.show([idle])
