"""Colours and glyphs: one of each for every status, used everywhere. Colour is never the only sign.

Views name colours by role; a role becomes a colour of the present theme when a line is drawn. Under NO_COLOR there
are none.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import NamedTuple

from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme

INK, DIM, FAINT = "ink", "dim", "faint"
EMBER, GOLD, GREEN, BLUE, RED, VIOLET, CYAN = "ember", "gold", "green", "blue", "red", "violet", "cyan"
# Grounds: the row under the cursor with and without the focus, and behind banners.
CURSOR, CURSOR_AWAY = "cursor", "cursor-away"
BANNER_BAD, BANNER_WARN, BANNER_CALM, ON_BANNER = "banner-bad", "banner-warn", "banner-calm", "on-banner"

_FORGE: dict[str, str | None] = {
    INK: "#d8dce4",
    DIM: "#8a92a2",
    FAINT: "#4d5565",
    EMBER: "#ff9248",
    GOLD: "#ffc66d",
    GREEN: "#86d18b",
    BLUE: "#74b6ff",
    RED: "#ff6f6f",
    VIOLET: "#c79bf2",
    CYAN: "#63d3d0",
    CURSOR: "#2d3444",
    CURSOR_AWAY: "#1d212b",
    BANNER_BAD: "#8c2222",
    BANNER_WARN: "#6b4a12",
    BANNER_CALM: "#2a2f3a",
    ON_BANNER: "#ffffff",
}
_GROUND, _SURFACE = "#12141a", "#181b22"
FORGE_THEME = Theme(
    name="forge",
    primary="#ff9248",
    secondary="#ffc66d",
    accent="#ff9248",
    foreground="#d8dce4",
    background=_GROUND,
    surface=_SURFACE,
    panel="#222732",
    success="#86d18b",
    warning="#ffc66d",
    error="#ff6f6f",
    dark=True,
    variables={
        "border": "#3d4453",
        "input-cursor-background": "#ff9248",
        "input-selection-background": "#ff9248 35%",
        "scrollbar": "#2b303b",
        "scrollbar-background": _GROUND,
        "scrollbar-background-hover": _GROUND,
        "scrollbar-background-active": _GROUND,
        "scrollbar-hover": "#3a4150",
        "scrollbar-active": "#ff9248",
    },
)
# The terminal's own sixteen colours.
_ANSI: dict[str, str | None] = {
    INK: None,
    DIM: None,
    FAINT: "bright_black",
    EMBER: "yellow",
    GOLD: "bright_yellow",
    GREEN: "green",
    BLUE: "blue",
    RED: "red",
    VIOLET: "magenta",
    CYAN: "cyan",
    CURSOR: "reverse",
    CURSOR_AWAY: None,
    BANNER_BAD: "red",
    BANNER_WARN: "yellow",
    BANNER_CALM: None,
    ON_BANNER: None,
}
COLOURLESS = bool(os.environ.get("NO_COLOR"))
_roles: dict[str, str | None] = _FORGE

STATUSES = ("queued", "running", "scheduled", "retrying", "dead", "completed", "cancelled")
STATUS_GLYPH = {
    "queued": "●",
    "running": "▶",
    "scheduled": "◷",
    "retrying": "↻",
    "dead": "✗",
    "completed": "✓",
    "cancelled": "⊘",
}
STATUS_COLOUR = {
    "queued": BLUE,
    "running": GOLD,
    "scheduled": CYAN,
    "retrying": VIOLET,
    "dead": RED,
    "completed": GREEN,
    "cancelled": DIM,
}
PRIORITY_COLOUR = {"critical": RED, "high": GOLD, "medium": INK, "low": DIM}


class Look(NamedTuple):
    """How text looks, by roles."""

    colour: str = INK
    bold: bool = False
    underline: bool = False
    ground: str | None = None

    def on(self, ground: str | None) -> Look:
        return self if ground is None else self._replace(ground=ground)

    def loud(self) -> Look:
        return self._replace(bold=True)


def style(
    colour: str = INK, *, bold: bool = False, underline: bool = False, ground: str | None = None
) -> Look:
    return Look(colour, bold, underline, ground)


PLAIN = style()
FADED = style(DIM)
HEAD = style(DIM, bold=True)
KEY = style(EMBER, bold=True)


@lru_cache(maxsize=1024)
def rich_style(look: Look) -> Style:
    """The look in the present theme."""
    if COLOURLESS:
        reverse = look.ground in (CURSOR, BANNER_BAD, BANNER_WARN)
        return Style(bold=look.bold or None, underline=look.underline or None, reverse=reverse or None)
    ground = _roles[look.ground] if look.ground else None
    if ground == "reverse":
        return Style(bold=look.bold or None, underline=look.underline or None, reverse=True)
    dim = True if _roles is _ANSI and look.colour == DIM else None
    return Style(
        color=_roles[look.colour],
        bgcolor=ground,
        bold=look.bold or None,
        dim=dim,
        underline=look.underline or None,
    )


def follow(theme: Theme) -> None:
    """Roles take their colours from this theme from now on."""
    global _roles
    if theme.name == FORGE_THEME.name:
        _roles = _FORGE
    elif theme.name.startswith("ansi"):
        _roles = _ANSI
    else:
        _roles = _roles_of(theme)
    rich_style.cache_clear()


def _roles_of(theme: Theme) -> dict[str, str | None]:
    found = theme.to_color_system().generate()

    def colour(name: str) -> Color:
        try:
            return Color.parse(found.get(name, ""))
        except ColorParseError:
            return Color.parse("#d8dce4" if theme.dark else "#1f1f1f")

    ink, ground, primary = colour("foreground"), colour("background"), colour("primary")
    blue, violet, cyan = (
        ("#74b6ff", "#c79bf2", "#63d3d0") if theme.dark else ("#1f5fbf", "#7a3fb0", "#0b7a78")
    )
    roles = {
        INK: ink,
        DIM: ground.blend(ink, 0.62),
        FAINT: ground.blend(ink, 0.35),
        EMBER: primary,
        GOLD: colour("warning"),
        GREEN: colour("success"),
        RED: colour("error"),
        BLUE: Color.parse(blue),
        VIOLET: Color.parse(violet),
        CYAN: Color.parse(cyan),
        CURSOR: ground.blend(primary, 0.28),
        CURSOR_AWAY: ground.blend(ink, 0.08),
        BANNER_BAD: colour("error").darken(0.15) if theme.dark else colour("error"),
        BANNER_WARN: colour("warning").darken(0.3),
        BANNER_CALM: ground.blend(ink, 0.15),
        ON_BANNER: Color.parse("#ffffff"),
    }
    return {role: value.hex6 for role, value in roles.items()}
