"""A filled chart in braille dots: two columns and four rows of them in each cell."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from ironforge.tui.theme import EMBER, FADED, Look, rich_style, style
from ironforge.tui.widgets.lines import BORDER, Line, edge

_BLANK = 0x2800
# Bits of a cell's dots from the bottom up, left column then right.
_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)


class Chart(Widget):
    """Values per slot, oldest first, stretched over the width, in a box whose edges are its legend.

    A second series of values, lower than the first, is drawn in its own colour on top of it.
    """

    DEFAULT_CSS = "Chart { height: 100%; width: 1fr; }"

    def __init__(self, look: Look | None = None, over: Look | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self._look, self._over_look = look or style(EMBER), over or style(EMBER)
        self._values: list[float] = []
        self._over: list[float] = []
        self._title: Line = []
        self._foot: Line = []
        self.dimmed = False

    def show(self, values: Sequence[float], title: Line, foot: Line, over: Sequence[float] = ()) -> None:
        now = (list(values), list(over), title, foot)
        if now != (self._values, self._over, self._title, self._foot):
            self._values, self._over, self._title, self._foot = now
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size.width, self.size.height
        if y == 0:
            parts = edge("╭", self._title, "╮", width)
        elif y == height - 1:
            parts = edge("╰", self._foot, "╯", width)
        else:
            parts = [("│", BORDER), *self._row(height - 2 - y, width - 2, height - 2), ("│", BORDER)]
        segments = [Segment(text, rich_style(FADED if self.dimmed else look)) for text, look in parts]
        return Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def _row(self, row: int, width: int, height: int) -> Line:
        """The cells of one line of dots, counted from the bottom."""
        top = max([*self._values, *self._over], default=0.0)
        levels = heights(self._values, width * 2, height * 4, top)
        over = heights(self._over, width * 2, height * 4, top)
        parts: Line = []
        for at in range(0, width * 2, 2):
            dots = _dots(levels[at] - row * 4, _LEFT) + _dots(levels[at + 1] - row * 4, _RIGHT)
            covered = max(over[at], over[at + 1]) > row * 4
            look = self._over_look if covered else self._look
            if covered:
                dots |= _dots(over[at] - row * 4, _LEFT) + _dots(over[at + 1] - row * 4, _RIGHT)
            if parts and parts[-1][1] == look:
                parts[-1] = (parts[-1][0] + chr(_BLANK + dots), look)
            else:
                parts.append((chr(_BLANK + dots), look))
        return parts


def heights(values: Sequence[float], columns: int, top: int, highest: float | None = None) -> list[int]:
    """Values as dot heights 0..top over so many columns; anything above zero has at least one dot."""
    highest = max(values, default=0.0) if highest is None else highest
    if not values or highest <= 0:
        return [0] * columns
    last = len(values) - 1
    found: list[int] = []
    for column in range(columns):
        place = column / max(1, columns - 1) * last
        low = int(place)
        value = values[low] + (values[min(last, low + 1)] - values[low]) * (place - low)
        found.append(0 if value <= 0 else max(1, min(top, round(value / highest * top))))
    return found


def _dots(level: int, bits: tuple[int, ...]) -> int:
    return sum(bits[: max(0, min(4, level))])
