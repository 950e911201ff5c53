"""A question before something that cannot be taken back. Cancel has the focus; the largest want a word typed."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static


class Confirm(ModalScreen[bool]):
    """Answers whether to go on.

    Args:
        typed: a word to type before the button works; empty for none.
        calm: nothing is lost by going on; not in red.
    """

    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical { width: 66; max-width: 92%; height: auto; border: round $error; background: $surface; padding: 1 2;
        border-title-color: $error; border-title-style: bold; }
    Confirm Static { width: 100%; height: auto; margin-bottom: 1; }
    Confirm Input { border: none; height: 1; background: $panel; margin-bottom: 1; }
    Confirm Input:focus { border: none; }
    Confirm Horizontal { height: 1; align-horizontal: right; }
    Confirm Button { margin-left: 2; min-width: 14; height: 1; border: none; background: $panel; color: $foreground;
        text-style: none; padding: 0 2; }
    Confirm Button:focus { background: $primary; color: $background; text-style: bold !important; }
    Confirm #yes { color: $error; }
    Confirm #yes:focus { background: $error; color: $background; }
    Confirm.-calm > Vertical { border: round $primary; border-title-color: $primary; }
    Confirm.-calm #yes { color: $primary; } Confirm.-calm #yes:focus { background: $primary; color: $background; }
    """
    BINDINGS = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
        Binding("left,h,right,l,tab", "other", "other button"),
    ]

    def __init__(
        self, title: str, lines: list[str], verb: str, typed: str = "", *, calm: bool = False
    ) -> None:
        super().__init__(classes="-calm" if calm else None)
        self._title, self._lines, self._verb, self._typed = title, lines, verb, typed

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = Content(self._title)
        with box:
            yield Static(Content("\n".join(self._lines)))
            if self._typed:
                yield Input(placeholder=f"type {self._typed} and press enter")
            with Horizontal():
                yield Button(Content("Cancel (n)"), id="no", compact=True)
                yield Button(
                    Content(self._verb if self._typed else f"{self._verb} (y)"), id="yes", compact=True
                )

    def on_mount(self) -> None:
        self.query_one("#yes", Button).disabled = bool(self._typed)
        self.query_one(Input if self._typed else "#no").focus()

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            self.dismiss(False)
            event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip().lower() == self._typed)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes" and not self._typed)

    def action_answer(self, yes: bool) -> None:
        if not self._typed:
            self.dismiss(yes)

    def action_other(self) -> None:
        self.focus_next()
