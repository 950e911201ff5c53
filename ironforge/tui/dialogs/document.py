"""y on what is no job: its JSON, to scroll through."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from ironforge.tui.json_lines import JsonLines
from ironforge.tui.widgets.lines import Pane


class Document(ModalScreen[None]):
    DEFAULT_CSS = """
    Document { align: center middle; }
    Document > Vertical { width: 90%; height: 85%; border: round $primary; background: $surface; padding: 1 2;
        border-title-color: $primary; border-title-style: bold; border-subtitle-color: $text-muted; }
    """
    BINDINGS = [Binding("escape,q,enter,y,d", "leave", "close")]

    def __init__(self, title: str, value: object) -> None:
        super().__init__()
        self._title, self._value = title, value

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title, box.border_subtitle = Content(self._title), "j k move · esc closes"
        with box:
            yield Pane()

    def on_mount(self) -> None:
        pane = self.query_one(Pane)
        pane.show(JsonLines(self._value))
        pane.focus()

    def action_leave(self) -> None:
        self.dismiss(None)
