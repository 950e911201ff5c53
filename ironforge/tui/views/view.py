"""What every view is to the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.containers import Vertical
from textual.widget import Widget

from ironforge.tui.store import JobRow, Store
from ironforge.tui.widgets.grid import Grid
from ironforge.tui.widgets.lines import Line

if TYPE_CHECKING:
    from ironforge.tui.app import ConsoleApp


class View(Vertical):
    """One of the things behind the number keys. Draws the store; asks the console to load and to change."""

    DEFAULT_CSS = "View { height: 1fr; }"
    key: ClassVar[str] = ""

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def store(self) -> Store:
        return self.console.store

    def main(self) -> Widget:
        """What gets the focus: a Grid, or a Pane."""
        raise NotImplementedError

    def draw(self) -> None:
        """Shows the store as it is. Called four times a second while the view is seen."""

    def entered(self) -> None:
        """The view comes to be seen."""

    def hint(self, queues: set[str]) -> None:
        """Lists of these queues are old (`*`: all)."""

    def foot(self) -> Line:
        """The line above the keys while nothing is flashed."""
        return []

    def unavailable(self, command: str) -> str:
        """Why a command of this view cannot be used on what is under the cursor; empty when it can."""
        return ""

    def targets(self) -> list[JobRow]:
        """The jobs that an action is about: the marked ones, else the one under the cursor."""
        return []

    def go_back(self) -> bool:
        """Escape within the view; False to leave it."""
        return False

    def do(self, command: str) -> bool:
        """Commands of this view that only look. False for one it does not know."""
        return False

    def grid(self) -> Grid | None:
        main = self.main()
        return main if isinstance(main, Grid) else None

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
