"""A question before something that cannot be taken back. Cancel has the focus."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Confirm(ModalScreen[bool]):
    """Answers whether to go on."""

    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical { width: 64; max-width: 92%; height: auto; border: round $error; background: $surface; padding: 1 2;
        border-title-color: $error; border-title-style: bold; }
    Confirm Static { width: 100%; height: auto; margin-bottom: 1; }
    Confirm Horizontal { height: auto; align-horizontal: right; }
    Confirm Button { margin-left: 2; min-width: 14; }
    """
    BINDINGS = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape", "answer(False)", "no"),
        Binding("left,h,right,l", "other", "other button"),
    ]

    def __init__(self, title: str, lines: list[str], verb: str) -> None:
        super().__init__()
        self._title, self._lines, self._verb = title, lines, verb

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = self._title.replace("[", "(")
        with box:
            yield Static(Content("\n".join(self._lines)))
            with Horizontal():
                yield Button(Content("Cancel (n)"), id="no")
                yield Button(Content(f"{self._verb} (y)"), id="yes", variant="error")

    def on_mount(self) -> None:
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def action_other(self) -> None:
        self.focus_next()
