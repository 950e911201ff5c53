"""Colours and glyphs: one of each for every status, used everywhere. Colour is never the only sign."""

from __future__ import annotations

from rich.style import Style
from textual.theme import Theme

INK = "#d8dce4"
DIM = "#858d9c"
FAINT = "#4a5160"
EMBER = "#ff9248"
GOLD = "#ffc66d"
GREEN = "#86d18b"
BLUE = "#74b6ff"
RED = "#ff6f6f"
VIOLET = "#c79bf2"
CYAN = "#63d3d0"
GROUND = "#12141a"
SURFACE = "#181b22"
CURSOR = "#2b3140"

FORGE_THEME = Theme(
    name="forge",
    primary=EMBER,
    secondary=GOLD,
    accent=EMBER,
    foreground=INK,
    background=GROUND,
    surface=SURFACE,
    panel="#20242d",
    success=GREEN,
    warning=GOLD,
    error=RED,
    dark=True,
    variables={
        "border": FAINT,
        "input-cursor-background": EMBER,
        "input-selection-background": f"{EMBER} 35%",
        "scrollbar": "#2b303b",
        "scrollbar-background": GROUND,
        "scrollbar-hover": "#3a4150",
    },
)

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


def style(colour: str = INK, *, bold: bool = False, dim: bool = False) -> Style:
    return Style(color=colour, bold=bold or None, dim=dim or None)


PLAIN = style()
FADED = style(DIM)
HEAD = style(DIM, bold=True)
KEY = style(EMBER, bold=True)
