"""The one table: draws only what is seen, keeps cursor and marks by row id, repaints only what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ironforge.tui.theme import CURSOR, DIM, EMBER, FADED, HEAD, PLAIN

Cell = str | tuple[str, Style]


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `keep` orders what is dropped when the terminal is narrow: the lowest goes first."""

    key: str
    title: str
    width: int
    right: bool = False
    keep: int = 50
    grows: bool = False
    tail: bool = False  # what does not fit is cut at the left


@dataclass(slots=True)
class Row:
    """A row: its id, and a cell for each column key. `tone` colours cells that have no style of their own."""

    id: str
    cells: dict[str, Cell]
    tone: Style = field(default_factory=lambda: PLAIN)


class Grid(ScrollView, can_focus=True):
    """Rows by id. The owner calls `show`; the grid tells what the cursor is on."""

    DEFAULT_CSS = """
    Grid { height: 1fr; background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }
    """
    dimmed: reactive[bool] = reactive(False)

    class Moved(Message):
        """The cursor is on another row, or on none."""

        def __init__(self, grid: Grid, row_id: str | None) -> None:
            super().__init__()
            self.grid, self.row_id = grid, row_id

    class Opened(Message):
        """Enter, or a click on the row under the cursor."""

        def __init__(self, grid: Grid, row_id: str) -> None:
            super().__init__()
            self.grid, self.row_id = grid, row_id

    class NearEnd(Message):
        """The cursor comes near the last row: the owner may load more."""

    def __init__(
        self, columns: Sequence[Column], *, empty: Sequence[str] = (), id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._columns = list(columns)
        self._rows: list[Row] = []
        self._places: dict[str, int] = {}
        self.cursor_id: str | None = None
        self.marks: set[str] = set()
        self.empty_words = list(empty)
        self._fitted: list[tuple[Column, int]] = []
        self._range_from: str | None = None

    # -- what the owner does ----------------------------------------------------------------------------------------

    def set_columns(self, columns: Sequence[Column]) -> None:
        self._columns = list(columns)
        self._fit()
        self.refresh()

    def show(self, rows: list[Row]) -> None:
        """Replaces the rows. Cursor, marks and scroll stay on their rows; a cursor whose row left stays in place."""
        place = self._places.get(self.cursor_id or "", 0)
        old, self._rows = self._rows, rows
        self._places = {row.id: at for at, row in enumerate(rows)}
        if self.cursor_id not in self._places:
            self.cursor_id = rows[min(place, len(rows) - 1)].id if rows else None
            self.post_message(self.Moved(self, self.cursor_id))
        self.virtual_size = Size(self.size.width, len(rows) + 1)
        if len(old) != len(rows) or not rows:
            self.refresh()
            return
        for at, (before, after) in enumerate(zip(old, rows, strict=True)):
            if before.id != after.id or before.cells != after.cells:
                self._refresh_row(at)

    @property
    def rows(self) -> list[Row]:
        return self._rows

    @property
    def cursor_place(self) -> int:
        return self._places.get(self.cursor_id or "", 0)

    def move_to(self, row_id: str) -> None:
        if row_id in self._places:
            self._set_cursor(self._places[row_id])

    def move(self, by: int) -> None:
        self._set_cursor(self.cursor_place + by)

    def move_page(self, by: int) -> None:
        self.move(by * max(1, self.size.height - 2))

    def move_end(self, last: bool) -> None:
        self._set_cursor(len(self._rows) - 1 if last else 0)

    def toggle_mark(self) -> None:
        if self.cursor_id is not None:
            self.marks ^= {self.cursor_id}
            self._refresh_row(self.cursor_place)
            self.move(1)

    def mark_range(self) -> None:
        """First call: begins at the cursor. Second: marks all between."""
        if self._range_from is None or self._range_from not in self._places:
            self._range_from = self.cursor_id
            if self.cursor_id:
                self.marks.add(self.cursor_id)
        else:
            low, high = sorted((self._places[self._range_from], self.cursor_place))
            self.marks |= {row.id for row in self._rows[low : high + 1]}
            self._range_from = None
        self.refresh()

    def mark_all(self) -> None:
        self.marks |= {row.id for row in self._rows}
        self.refresh()

    def clear_marks(self) -> None:
        self.marks.clear()
        self._range_from = None
        self.refresh()

    # -- keys and mouse ---------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1}
        pages = {"pageup": -1, "ctrl+b": -1, "pagedown": 1, "ctrl+f": 1}
        if event.key in moves:
            self.move(moves[event.key])
        elif event.key in pages:
            self.move_page(pages[event.key])
        elif event.key in ("g", "home", "G", "end"):
            self.move_end(event.key in ("G", "end"))
        elif event.key == "enter" and self.cursor_id is not None:
            self.post_message(self.Opened(self, self.cursor_id))
        else:
            return
        event.stop()
        event.prevent_default()

    def on_click(self, event: events.Click) -> None:
        at = event.y - 1 + self.scroll_offset.y
        if 0 <= at < len(self._rows) and event.y > 0:
            again = self.cursor_place == at
            self._set_cursor(at)
            if again and event.chain > 1:
                self.post_message(self.Opened(self, self._rows[at].id))

    # -- drawing ----------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        self._fit()
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)

    def watch_dimmed(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if not self._fitted:
            self._fit()
        if y == 0:
            return self._header(width)
        if not self._rows:
            return self._empty_line(y, width)
        at = y - 1 + self.scroll_offset.y
        if at >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        return self._row_strip(self._rows[at], width)

    def _row_strip(self, row: Row, width: int) -> Strip:
        here = row.id == self.cursor_id
        marked = row.id in self.marks
        ground = (
            Style(bgcolor=CURSOR)
            if here and self.has_focus
            else Style(bgcolor="#1d212a")
            if here
            else Style()
        )
        sign = "▌" if here else "▪" if marked else " "
        segments = [Segment(sign + ("▪" if here and marked else " "), Style(color=EMBER, bold=True) + ground)]
        for column, cells in self._fitted:
            cell = row.cells.get(column.key, "")
            text, look = cell if isinstance(cell, tuple) else (cell, row.tone)
            if column.tail:
                text = text[-cells:]
            if self.dimmed:
                look = FADED
            segments.append(Segment(_fitted(text, cells, column.right), look + ground))
            segments.append(Segment(" ", ground))
        return (
            Strip(segments)
            .adjust_cell_length(width, ground + self.rich_style if not here else ground)
            .apply_style(self.rich_style)
        )

    def _header(self, width: int) -> Strip:
        segments = [Segment("  ", HEAD)]
        for column, cells in self._fitted:
            segments.append(Segment(_fitted(column.title, cells, column.right) + " ", HEAD))
        return Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def _empty_line(self, y: int, width: int) -> Strip:
        first = max(2, (self.size.height - len(self.empty_words)) // 3)
        at = y - first
        if not 0 <= at < len(self.empty_words):
            return Strip.blank(width, self.rich_style)
        words = self.empty_words[at]
        indent = max(2, (width - cell_len(words)) // 2)
        look = Style(color=DIM, bold=at == 0)
        return (
            Strip([Segment(" " * indent + words, look)])
            .adjust_cell_length(width, self.rich_style)
            .apply_style(self.rich_style)
        )

    def _fit(self) -> None:
        """Chooses the columns that fit, in their order, and gives what is left to those that grow."""
        room = self.size.width - 2
        kept = sorted(self._columns, key=lambda column: -column.keep)
        while len(kept) > 1 and sum(column.width + 1 for column in kept) > room:
            kept.pop()
        left = max(0, room - sum(column.width + 1 for column in kept))
        growing = [column for column in kept if column.grows]
        share = left // len(growing) if growing else 0
        self._fitted = [
            (column, column.width + (share if column.grows else 0))
            for column in self._columns
            if column in kept
        ]

    def _set_cursor(self, place: int) -> None:
        if not self._rows:
            return
        place = max(0, min(len(self._rows) - 1, place))
        before = self.cursor_place
        self.cursor_id = self._rows[place].id
        self._refresh_row(before)
        self._refresh_row(place)
        self._scroll_into_view(place)
        self.post_message(self.Moved(self, self.cursor_id))
        if place >= len(self._rows) - 20:
            self.post_message(self.NearEnd())

    def _scroll_into_view(self, place: int) -> None:
        top, shown = self.scroll_offset.y, max(1, self.size.height - 1)
        if place < top:
            self.scroll_to(y=place, animate=False, force=True)
        elif place >= top + shown:
            self.scroll_to(y=place - shown + 1, animate=False, force=True)

    def _refresh_row(self, place: int) -> None:
        y = place + 1 - self.scroll_offset.y
        if 0 < y < self.size.height:
            self.refresh(Region(0, place + 1, self.size.width, 1).translate((0, -self.scroll_offset.y)))


def _fitted(text: str, cells: int, right: bool) -> str:
    """Exactly `cells` wide; what is cut ends in an ellipsis."""
    length = cell_len(text)
    if length > cells:
        return set_cell_size(text, max(0, cells - 1)) + "…" if cells else ""
    return " " * (cells - length) + text if right else text + " " * (cells - length)
