"""What every view is to the console."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.containers import Container, Horizontal, Vertical
from textual.widget import Widget

from ironforge.tui.models import JobRow
from ironforge.tui.store import Store
from ironforge.tui.theme import EMBER, FADED, INK, style
from ironforge.tui.widgets.grid import Grid, Row, Spark
from ironforge.tui.widgets.lines import Line, Pane

if TYPE_CHECKING:
    from ironforge.tui.app import ConsoleApp

REFETCH_S = 0.5


class Fetching:
    """When a list is asked for anew: it is old, the last answer is not too fresh, and no question is open."""

    def __init__(self, every_s: float = REFETCH_S) -> None:
        self._every_s = every_s
        self._asked_at = 0.0
        self.stale, self.open, self.failed = True, False, ""

    def begin(self, view: View, loading: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Asks, if it is time."""
        store = view.store
        due = store.clock() - self._asked_at >= self._every_s
        if not (self.stale and due and not self.open and store.reachable):
            return
        self.stale, self.open, self._asked_at = False, True, store.clock()

        async def run() -> None:
            try:
                await loading()
                self.failed = ""
            finally:
                self.open = False

        view.console.load(run(), self._fail)

    def _fail(self, words: str) -> None:
        self.open, self.failed = False, words
        self.stale = True  # asked again when it is time


class View(Vertical):
    """One of the things behind the number keys. Draws the store; asks the console to load and to change."""

    DEFAULT_CSS = "View { height: 1fr; }"
    key: ClassVar[str] = ""
    sought = ""  # the filter, or what was looked for

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def store(self) -> Store:
        return self.console.store

    @property
    def is_wide(self) -> bool:
        return self.app.size.width >= 160

    def main(self) -> Widget:
        """What gets the focus when the view is entered: a Grid, or a Pane."""
        raise NotImplementedError

    def draw(self) -> None:
        """Shows the store as it is. Called four times a second while the view is seen."""

    def entered(self) -> None:
        """The view comes to be seen."""

    def hint(self, queues: set[str]) -> None:
        """Lists of these queues are old (`*`: all)."""

    def foot(self) -> Line:
        """The line above the keys while nothing is flashed."""
        return self.filter_words()

    def unavailable(self, command: str) -> str:
        """Why a command of this view cannot be used on what is under the cursor; empty when it can."""
        return ""

    def targets(self) -> list[JobRow]:
        """The jobs that an action is about: the marked ones, else the one under the cursor."""
        return []

    def document(self) -> tuple[str, object] | None:
        """What is under the cursor, as title and JSON, where it is not a job."""
        return None

    def go_back(self) -> bool:
        """Escape within the view; False to leave it."""
        if self.sought:
            self.find("")
            return True
        grid = self.grid()
        if grid and grid.marks:
            grid.clear_marks()
            return True
        return False

    def do(self, command: str) -> bool:
        """Commands of this view that only look. False for one it does not know."""
        return self.do_marks(command)

    # -- panes --------------------------------------------------------------------------------------------------------

    def panes(self) -> list[Widget]:
        """What the focus can be on, in order."""
        return [pane for pane in self.query(".panel") if pane.focusable and pane.display and _seen(pane)]

    def focused(self) -> Widget:
        focused = self.app.focused
        return focused if focused is not None and focused in self.panes() else self.main()

    def grid(self) -> Grid | None:
        focused = self.focused()
        return focused if isinstance(focused, Grid) else None

    def next_pane(self) -> None:
        panes = self.panes()
        if panes:
            at = panes.index(self.focused()) + 1 if self.focused() in panes else 0
            panes[at % len(panes)].focus()

    def zoom(self) -> bool:
        """The focused pane alone, or all again. True when it is alone now."""
        zoomed = not self.has_class("-zoomed")
        kept = set(self.focused().ancestors_with_self)
        for part in self.query("*"):
            if part.has_class("panel") or isinstance(part, Container | Vertical | Horizontal):
                part.set_class(zoomed and part not in kept, "-zoomed-away")
        self.set_class(zoomed, "-zoomed")
        return zoomed

    # -- filter -------------------------------------------------------------------------------------------------------

    def find(self, words: str) -> None:
        """Narrows the list to rows with these words."""
        self.sought = words
        self.draw()

    def filtered(self, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if fits(row, self.sought)]

    def filter_words(self) -> Line:
        if not self.sought:
            return []
        return [("/ ", style(EMBER, bold=True)), (self.sought, style(INK)), ("   esc clears", FADED)]

    def next_match(self, words: str) -> bool:
        """The cursor to the next row with these words."""
        focused = self.focused()
        if isinstance(focused, Pane):
            return focused.find(words)
        grid = self.grid()
        if grid is None or not grid.ids:
            return False
        for step in range(1, len(grid.ids) + 1):
            row_id = grid.ids[(grid.cursor_place + step) % len(grid.ids)]
            if self.row_fits(row_id, words):
                grid.move_to(row_id)
                return True
        return False

    def row_fits(self, row_id: str, words: str) -> bool:
        return words.lower() in row_id.lower()

    def do_marks(self, command: str) -> bool:
        grid = self.grid()
        if grid is None:
            return False
        match command:
            case "mark":
                grid.toggle_mark()
            case "mark.range":
                grid.mark_range()
            case "mark.all":
                grid.mark_all()
            case "mark.clear":
                grid.clear_marks()
            case _:
                return False
        return True


def fits(row: Row, words: str) -> bool:
    """Whether all words are in the row's texts; `!` negates."""
    if not words:
        return True
    texts = (
        cell if isinstance(cell, str) else cell[0]
        for cell in row.cells.values()
        if not isinstance(cell, Spark)
    )
    hay = f"{row.id} {' '.join(texts)}".lower()
    return all((word.lstrip("!") in hay) is not word.startswith("!") for word in words.lower().split())


def _seen(widget: Widget) -> bool:
    return all(ancestor.display for ancestor in widget.ancestors_with_self if isinstance(ancestor, Widget))
