"""Styled lines: fixed ones, and a scrolling pane of any length that draws only what is seen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from ironforge.tui.theme import FADED, PLAIN

Part = tuple[str, Style]
Line = list[Part]


def line(*parts: str | Part) -> Line:
    return [part if isinstance(part, tuple) else (part, PLAIN) for part in parts]


def spread(left: Line, right: Line, width: int) -> Line:
    """Left and right parts at the two ends of a line; the right one goes when there is no room."""
    used = sum(cell_len(text) for text, _ in left)
    wanted = sum(cell_len(text) for text, _ in right)
    if used + wanted + 1 > width:
        return left
    return [*left, (" " * (width - used - wanted), PLAIN), *right]


def _strip(parts: Line, width: int, ground: Style, dimmed: bool) -> Strip:
    segments = [Segment(text, FADED if dimmed else look) for text, look in parts]
    return Strip(segments).adjust_cell_length(width, ground).apply_style(ground)


class Lines(Widget):
    """As many lines as fit."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []
        self.dimmed = False

    def show(self, lines: Sequence[Line]) -> None:
        if list(lines) != self._lines:
            self._lines = list(lines)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        return _strip(self._lines[y], width, self.rich_style, self.dimmed)


class Pane(ScrollView, can_focus=True):
    """Lines that scroll."""

    DEFAULT_CSS = "Pane { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []

    def show(self, lines: Sequence[Line], *, keep_place: bool = True) -> None:
        self._lines = list(lines)
        self.virtual_size = Size(self.size.width, len(self._lines))
        if not keep_place:
            self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._lines))

    def move(self, by: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + by, animate=False, force=True)

    def move_page(self, by: int) -> None:
        self.move(by * max(1, self.size.height - 1))

    def move_end(self, last: bool) -> None:
        self.scroll_to(y=len(self._lines) if last else 0, animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        at = y + self.scroll_offset.y
        if at >= len(self._lines):
            return Strip.blank(self.size.width, self.rich_style)
        return _strip(self._lines[at], self.size.width, self.rich_style, False)
