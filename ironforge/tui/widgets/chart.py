"""A filled chart in braille dots: two columns and four rows of them in each cell."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from ironforge.tui.theme import EMBER, FADED

_BLANK = 0x2800
# Bits of a cell's dots from the bottom up, left column then right.
_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)


class Chart(Widget):
    """Values per slot, oldest first, stretched over the width."""

    DEFAULT_CSS = """
    Chart { border: round $border; border-title-color: $foreground; border-subtitle-color: $text-muted; height: 6; }
    """

    def __init__(self, colour: str = EMBER, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._style = Style(color=colour)
        self._values: list[float] = []
        self.dimmed = False

    def show(self, values: Sequence[float | None], title: str, subtitle: str) -> None:
        self._values = [value or 0.0 for value in values]
        self.border_title, self.border_subtitle = title, subtitle
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size.width, self.size.height
        if not 0 <= y < height:
            return Strip.blank(width)
        levels = heights(self._values, width * 2, height * 4)
        row = height - 1 - y
        text = "".join(
            chr(_BLANK + _dots(levels[at] - row * 4, _LEFT) + _dots(levels[at + 1] - row * 4, _RIGHT))
            for at in range(0, width * 2, 2)
        )
        return Strip([Segment(text, FADED if self.dimmed else self._style)]).apply_style(self.rich_style)


def heights(values: Sequence[float], columns: int, top: int) -> list[int]:
    """Values as dot heights 0..top over so many columns; anything above zero has at least one dot."""
    if not values or max(values) <= 0:
        return [0] * columns
    highest = max(values)
    last = len(values) - 1
    found: list[int] = []
    for column in range(columns):
        place = column / max(1, columns - 1) * last
        low = int(place)
        value = values[low] + (values[min(last, low + 1)] - values[low]) * (place - low)
        found.append(0 if value <= 0 else max(1, round(value / highest * top)))
    return found


def _dots(level: int, bits: tuple[int, ...]) -> int:
    return sum(bits[: max(0, min(4, level))])
