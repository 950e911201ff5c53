"""The line for `:` commands and `/` filters, with history and, after tab, completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Label

Complete = Callable[[str], Sequence[str]]


class _Completion(Suggester):
    """Shows the first way to go on, in grey."""

    def __init__(self, complete: Complete) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        return next(iter(self._complete(value)), None) if value else None


class Prompt(Horizontal):
    DEFAULT_CSS = """
    Prompt { height: 1; display: none; background: $panel; }
    Prompt Label { width: 3; color: $primary; text-style: bold; padding-left: 1; background: $panel; }
    Prompt Input { border: none; height: 1; width: 1fr; background: $panel; padding: 0; }
    Prompt Input:focus { border: none; }
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

    def __init__(self, complete: Complete, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._complete = complete
        self._completion = _Completion(complete)
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
        field.suggester = self._completion if kind == ":" else None
        field.value = text
        field.placeholder = (
            "jobs mail dead · job ID · dead · theme nord · q     (tab completes, ↑ history)"
            if kind == ":"
            else "words of id, kind, error, payload; kind: queue: worker: error: ! negates"
        )
        self.display = True
        field.focus()
        field.cursor_position = len(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self.post_message(self.Changed(self._kind, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        history = self._history[self._kind]
        if event.value.strip() and (not history or history[-1] != event.value):
            history.append(event.value)
        self._leave(event.value)

    def on_key(self, event: events.Key) -> None:
        field = self.query_one(Input)
        if event.key == "escape":
            self._leave(None)
        elif event.key in ("up", "down"):
            history = self._history[self._kind]
            self._back = max(0, min(len(history), self._back + (1 if event.key == "up" else -1)))
            field.value = history[-self._back] if self._back else ""
            field.cursor_position = len(field.value)
        elif event.key == "tab":
            found = next(iter(self._complete(field.value)), None) if self._kind == ":" else None
            if found:
                field.value = found + " "
                field.cursor_position = len(field.value)
        elif event.key == "backspace" and not field.value:
            self._leave(None)
        else:
            return
        event.stop()
        event.prevent_default()

    def _leave(self, text: str | None) -> None:
        self.display = False
        self.post_message(self.Done(self._kind, text))
