"""Styled lines: fixed ones, and a scrolling pane of any length that draws only what is seen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from ironforge.tui.theme import CURSOR, FADED, FAINT, PLAIN, Look, rich_style, style

Part = tuple[str, Look]
Line = list[Part]


def width_of(parts: Line) -> int:
    return sum(cell_len(text) for text, _ in parts)


def spread(left: Line, right: Line, width: int) -> Line:
    """Left and right parts at the two ends of a line; the right one goes when there is no room."""
    used, wanted = width_of(left), width_of(right)
    if used + wanted + 1 > width:
        return left
    return [*left, (" " * (width - used - wanted), PLAIN), *right]


def squeezed(left: Line, right: Line, width: int) -> Line:
    """As `spread`, but the left part is cut so that the right one stays."""
    room = width - width_of(right) - 2
    return spread(cut(left, room), right, width) if room > 10 else left


def cut(parts: Line, width: int) -> Line:
    """At most so wide; what is cut ends in an ellipsis."""
    if width_of(parts) <= width:
        return parts
    kept: Line = []
    for text, look in parts:
        room = width - width_of(kept)
        if cell_len(text) >= room:
            return [*kept, (set_cell_size(text, max(0, room - 1)) + "…", look)]
        kept.append((text, look))
    return kept


def _strip(parts: Line, width: int, base: Style, dimmed: bool) -> Strip:
    segments = [
        Segment(text, rich_style(FADED if dimmed else look)) for text, look in cut(parts, width) if text
    ]
    return Strip(segments).adjust_cell_length(width, base).apply_style(base)


class Lines(Widget):
    """As many lines as fit."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
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


class Box(Lines):
    """Lines in a box; the title is on its upper edge."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self._title: Line = []

    def fill(self, title: Line, lines: Sequence[Line]) -> None:
        if title != self._title:
            self._title = title
            self.refresh()
        self.show(lines)

    @property
    def room(self) -> int:
        """Cells of a line."""
        return max(10, self.size.width - 4)

    @property
    def rows(self) -> int:
        return max(0, self.size.height - 2)

    def render_line(self, y: int) -> Strip:
        width, height = self.size.width, self.size.height
        if y == 0:
            parts = edge("╭", self._title, "╮", width)
        elif y == height - 1:
            parts = edge("╰", [], "╯", width)
        else:
            inner = cut(self._lines[y - 1], width - 4) if y - 1 < len(self._lines) else []
            pad = " " * max(0, width - 3 - width_of(inner))
            parts = [("│ ", BORDER), *inner, (pad, PLAIN), ("│", BORDER)]
        return _strip(parts, width, self.rich_style, self.dimmed)


BORDER = style(FAINT)


def edge(left: str, words: Line, right: str, width: int) -> Line:
    """The upper or lower side of a box, with words in it."""
    shown = cut(words, max(0, width - 6))
    used = width_of(shown) + (2 if shown else 0)
    middle: Line = [(" ", BORDER), *shown, (" ", BORDER)] if shown else []
    return [(f"{left}─", BORDER), *middle, ("─" * max(0, width - used - 3) + right, BORDER)]


class Pane(ScrollView, can_focus=True):
    """Lines that scroll. They may be a lazy sequence: only those in sight are taken from it."""

    DEFAULT_CSS = "Pane { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: Sequence[Line] = []
        self._found: int | None = None
        self.dimmed = False

    def show(self, lines: Sequence[Line], *, keep_place: bool = True) -> None:
        self._lines, self._found = lines, None
        self.virtual_size = Size(self.size.width, len(lines))
        if not keep_place:
            self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    def find(self, words: str) -> bool:
        """Goes to the next line that holds the words, around the end; False when there is none."""
        start = -1 if self._found is None else self._found
        for step in range(1, len(self._lines) + 1):
            at = (start + step) % len(self._lines)
            if words.lower() in "".join(text for text, _ in self._lines[at]).lower():
                self._found = at
                self.scroll_to(y=max(0, at - 3), animate=False, force=True)
                self.refresh()
                return True
        return False

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._lines))

    def on_key(self, event: events.Key) -> None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1}
        pages = {"pageup": -1, "ctrl+b": -1, "pagedown": 1, "ctrl+f": 1}
        if event.key in moves:
            self.move(moves[event.key])
        elif event.key in pages:
            self.move(pages[event.key] * max(1, self.size.height - 1))
        elif event.key in ("g", "home", "G", "end"):
            self.scroll_to(y=len(self._lines) if event.key in ("G", "end") else 0, animate=False, force=True)
        else:
            return
        event.stop()
        event.prevent_default()

    def move(self, by: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + by, animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        at = y + self.scroll_offset.y
        if at >= len(self._lines):
            return Strip.blank(self.size.width, self.rich_style)
        parts = self._lines[at]
        if at == self._found:
            parts = [(text, look.on(CURSOR)) for text, look in parts]
        return _strip(parts, self.size.width, self.rich_style, self.dimmed)
