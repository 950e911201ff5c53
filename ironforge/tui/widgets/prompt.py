"""The line for `:` commands and `/` filters, with history."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label


class Prompt(Horizontal):
    DEFAULT_CSS = """
    Prompt { height: 1; display: none; background: $panel; }
    Prompt Label { width: 2; color: $primary; text-style: bold; padding-left: 1; }
    Prompt Input { border: none; height: 1; width: 1fr; background: $panel; padding: 0; }
    """

    class Changed(Message):
        def __init__(self, kind: str, text: str) -> None:
            super().__init__()
            self.kind, self.text = kind, text

    class Done(Message):
        """`text` is None when it was left by escape."""

        def __init__(self, kind: str, text: str | None) -> None:
            super().__init__()
            self.kind, self.text = kind, text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._kind = ":"
        self._history: dict[str, list[str]] = {":": [], "/": []}
        self._back = 0

    def compose(self) -> ComposeResult:
        yield Label(":", markup=False)
        yield Input()

    def ask(self, kind: str, text: str) -> None:
        self._kind, self._back = kind, 0
        self.query_one(Label).update(kind)
        field = self.query_one(Input)
        field.value = text
        field.placeholder = (
            "jobs mail dead · job ID · dead · theme nord · q"
            if kind == ":"
            else "words of id, kind, error, payload; kind: queue: worker: ! negates"
        )
        self.display = True
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self.post_message(self.Changed(self._kind, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self._history[self._kind].append(event.value)
        self._leave(event.value)

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self._leave(None)
        elif event.key in ("up", "down"):
            event.stop()
            history = self._history[self._kind]
            self._back = max(0, min(len(history), self._back + (1 if event.key == "up" else -1)))
            self.query_one(Input).value = history[-self._back] if self._back else ""

    def _leave(self, text: str | None) -> None:
        self.display = False
        self.post_message(self.Done(self._kind, text))
