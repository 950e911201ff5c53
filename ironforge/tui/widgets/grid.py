"""The one table: draws only what is seen, keeps cursor and marks by row id, repaints only what changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ironforge.tui.theme import CURSOR, CURSOR_AWAY, EMBER, FADED, HEAD, PLAIN, Look, rich_style, style
from ironforge.tui.words import spark


class Spark(NamedTuple):
    """A cell that draws its values over whatever width its column has."""

    values: tuple[float, ...]
    look: Look


Cell = str | tuple[str, Look] | Spark


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `keep` orders what is dropped when the terminal is narrow: the lowest goes first."""

    key: str
    title: str
    width: int
    right: bool = False
    keep: int = 50
    grows: int = 0  # its share of what is left
    most: int = 200  # the widest it grows
    calm: bool = False  # changes by itself, as an age does: no reason to be drawn bold for a tick


class Row(NamedTuple):
    """A row: its id, and a cell for each column key."""

    id: str
    cells: dict[str, Cell]


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
        """Enter, or a double click on a row."""

        def __init__(self, grid: Grid, row_id: str) -> None:
            super().__init__()
            self.grid, self.row_id = grid, row_id

    class NearEnd(Message):
        """The cursor comes near the last row: the owner may load more."""

    class HeadClicked(Message):
        def __init__(self, grid: Grid, column: str) -> None:
            super().__init__()
            self.grid, self.column = grid, column

    def __init__(
        self, columns: Sequence[Column], *, empty: Sequence[str] = (), id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._columns = list(columns)
        self._ids: list[str] = []
        self._places: dict[str, int] = {}
        self._draw: Callable[[str], Row] = lambda row_id: Row(row_id, {})
        self._seen: dict[
            str, tuple[Row, frozenset[str]]
        ] = {}  # drawn rows, and their cells that just changed
        self.cursor_id: str | None = None
        self.marks: set[str] = set()
        self.empty_words = list(empty)
        self.sorted_by: tuple[str, bool] = ("", False)
        self._fitted: list[tuple[Column, int]] = []
        self._range_from: str | None = None

    # -- what the owner does ----------------------------------------------------------------------------------------

    def set_columns(self, columns: Sequence[Column]) -> None:
        self._columns = list(columns)
        self._fit()
        self.refresh()

    def show(self, rows: Sequence[Row]) -> None:
        """Replaces the rows."""
        by_id = {row.id: row for row in rows}
        self.show_ids(list(by_id), by_id.__getitem__)

    def show_ids(self, ids: Sequence[str], draw: Callable[[str], Row]) -> None:
        """Replaces the rows, of which only those in sight are drawn. Cursor, marks and scroll stay on their rows; a
        cursor whose row left stays in its place."""
        self._draw = draw
        if ids != self._ids:
            self._reorder(list(ids))
        self._repaint()

    def _reorder(self, ids: list[str]) -> None:
        place = self._places.get(self.cursor_id or "", 0)
        offset = place - self.scroll_offset.y
        self._ids = ids
        self._places = {row_id: at for at, row_id in enumerate(ids)}
        moved = self.cursor_id not in self._places
        if moved:
            self.cursor_id = ids[min(place, len(ids) - 1)] if ids else None
        self.virtual_size = Size(self.size.width, len(ids) + 1)
        if not moved and self.cursor_place != place:  # the row moved: the view goes along
            self.scroll_to(y=max(0, self.cursor_place - offset), animate=False, force=True)
        elif ids:
            self._scroll_into_view(self.cursor_place)
        if moved:
            self.post_message(self.Moved(self, self.cursor_id))

    def _repaint(self) -> None:
        """Draws what is in sight and refreshes the lines that look otherwise."""
        top = self.scroll_offset.y
        before, self._seen = self._seen, {}
        for at in range(top, min(len(self._ids), top + max(1, self.size.height - 1))):
            row = self._draw(self._ids[at])
            known = before.get(row.id)
            self._seen[row.id] = (row, self._changes(known[0], row) if known else frozenset())
        if list(before) != list(self._seen):
            self.refresh()
            return
        for row_id, drawn in self._seen.items():
            if before[row_id] != drawn:
                self._refresh_row(self._places[row_id])

    def _changes(self, before: Row, after: Row) -> frozenset[str]:
        if before.cells == after.cells:
            return frozenset()
        calm = {column.key for column in self._columns if column.calm}
        return frozenset(
            key
            for key, cell in after.cells.items()
            if key not in calm
            and not isinstance(cell, Spark)
            and _text(before.cells.get(key, "")) != _text(cell)
        )

    @property
    def ids(self) -> list[str]:
        """Ids in the order shown."""
        return self._ids

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
        self._set_cursor(len(self._ids) - 1 if last else 0)

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
            self.marks |= set(self._ids[low : high + 1])
            self._range_from = None
        self.refresh()

    def mark_all(self) -> None:
        self.marks |= set(self._ids)
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
        elif event.key in ("shift+down", "shift+up") and self.cursor_id:
            self.marks.add(self.cursor_id)
            self.move(1 if event.key == "shift+down" else -1)
            self.marks.add(self.cursor_id)
            self.refresh()
        elif event.key == "enter" and self.cursor_id is not None:
            self.post_message(self.Opened(self, self.cursor_id))
        else:
            return
        event.stop()
        event.prevent_default()

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            left = 2
            for column, cells in self._fitted:
                if left <= event.x <= left + cells:
                    self.post_message(self.HeadClicked(self, column.key))
                left += cells + 1
            return
        at = event.y - 1 + self.scroll_offset.y
        if 0 <= at < len(self._ids):
            again = self.cursor_place == at
            self._set_cursor(at)
            if again and event.chain > 1:
                self.post_message(self.Opened(self, self._ids[at]))

    # -- drawing ----------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        self._fit()
        self.virtual_size = Size(self.size.width, len(self._ids) + 1)
        self.refresh()

    def on_focus(self) -> None:
        self._refresh_row(self.cursor_place)

    def on_blur(self) -> None:
        self._refresh_row(self.cursor_place)

    def watch_dimmed(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if not self._fitted:
            self._fit()
        if y == 0:
            return self._header(width)
        if not self._ids:
            return self._empty_line(y, width)
        at = y - 1 + self.scroll_offset.y
        if at >= len(self._ids):
            return Strip.blank(width, self.rich_style)
        row_id = self._ids[at]
        row, changed = self._seen.get(row_id) or (self._draw(row_id), frozenset[str]())
        return self._row_strip(row, changed, width)

    def _row_strip(self, row: Row, changed: frozenset[str], width: int) -> Strip:
        here, marked = row.id == self.cursor_id, row.id in self.marks
        ground = (CURSOR if self.has_focus else CURSOR_AWAY) if here else None
        base = rich_style(PLAIN.on(ground)) if here else self.rich_style
        sign = ("▌" if here else " ") + ("▪" if marked else " ")
        segments = [Segment(sign, rich_style(style(EMBER, bold=True).on(ground)))]
        for column, cells in self._fitted:
            cell = row.cells.get(column.key, "")
            if isinstance(cell, Spark):
                text, look = spark(cell.values, cells), cell.look
            else:
                text, look = cell if isinstance(cell, tuple) else (cell, PLAIN)
            if self.dimmed:
                look = FADED
            elif column.key in changed:
                look = look.loud()
            segments.append(Segment(_fitted(text, cells, column.right), rich_style(look.on(ground))))
            segments.append(Segment(" ", rich_style(PLAIN.on(ground))))
        return Strip(segments).adjust_cell_length(width, base).apply_style(self.rich_style)

    def _header(self, width: int) -> Strip:
        head: Style = rich_style(HEAD)
        segments = [Segment("  ", head)]
        name, falling = self.sorted_by
        for column, cells in self._fitted:
            sign = ("▼" if falling else "▲") if column.key == name else ""
            look = rich_style(style(EMBER, bold=True)) if sign else head
            segments.append(Segment(_fitted(column.title + sign, cells, column.right) + " ", look))
        return Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def _empty_line(self, y: int, width: int) -> Strip:
        first = max(2, (self.size.height - len(self.empty_words)) // 3)
        at = y - first
        if not 0 <= at < len(self.empty_words):
            return Strip.blank(width, self.rich_style)
        words = self.empty_words[at]
        indent = max(2, (width - cell_len(words)) // 2)
        segments = [Segment(" " * indent + words, rich_style(HEAD if at == 0 else FADED))]
        return Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def _fit(self) -> None:
        """Chooses the columns that fit, in their order, and gives what is left to those that grow."""
        room = self.size.width - 2
        kept = sorted(self._columns, key=lambda column: -column.keep)
        while len(kept) > 1 and sum(column.width + 1 for column in kept) > room:
            kept.pop()
        widths = {column.key: column.width for column in kept}
        _grow(widths, [column for column in kept if column.grows], room - sum(widths.values()) - len(widths))
        self._fitted = [(column, widths[column.key]) for column in self._columns if column.key in widths]

    def _set_cursor(self, place: int) -> None:
        if not self._ids:
            return
        place = max(0, min(len(self._ids) - 1, place))
        before = self.cursor_place
        self.cursor_id = self._ids[place]
        self._refresh_row(before)
        self._refresh_row(place)
        self._scroll_into_view(place)
        self.post_message(self.Moved(self, self.cursor_id))
        if place >= len(self._ids) - 20:
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
            self.refresh(Region(0, y, self.size.width, 1))


def _grow(widths: dict[str, int], growing: list[Column], left: int) -> None:
    """Gives `left` cells to these columns by their shares, none more than its most."""
    while left > 0 and growing:
        shares = sum(column.grows for column in growing)
        given = 0
        for column in growing:
            wanted = max(1, left * column.grows // shares)
            more = max(0, min(wanted, column.most - widths[column.key], left - given))
            widths[column.key] += more
            given += more
        growing = [column for column in growing if widths[column.key] < column.most]
        left -= given


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else str(cell[0])


def _fitted(text: str, cells: int, right: bool) -> str:
    """Exactly `cells` wide; what is cut ends in an ellipsis."""
    length = cell_len(text)
    if length > cells:
        return set_cell_size(text, max(0, cells - 1)) + "…" if cells else ""
    return " " * (cells - length) + text if right else text + " " * (cells - length)
