"""N: a new job. What is typed is checked as it is typed, and shown as the same command for a shell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Button, Input, Label, Static, TextArea

from ironforge.tui.doc import Doc
from ironforge.tui.payload_check import command_line, example, read_payload

PRIORITIES = ("critical", "high", "medium", "low")
_NUMBERS = (("delay", "delay_s", 0.0), ("retries", "max_retries", 0.0), ("timeout", "timeout_s", 0.001))
_FIELDS = ("kind", "queue", "priority", "delay", "retries", "timeout")


class NewJob(ModalScreen[dict[str, Any] | None]):
    """Gives the body of POST /jobs. What was typed and not sent is there again the next time."""

    DEFAULT_CSS = """
    NewJob { align: center middle; }
    NewJob > Vertical { width: 88; max-width: 98%; height: 23; max-height: 96%; border: round $primary; background: $surface;
        padding: 0 1; border-title-color: $primary; border-title-style: bold; border-subtitle-color: $text-muted; }
    NewJob Horizontal { height: 1; margin-top: 1; }
    NewJob Label { width: auto; color: $text-muted; margin: 0 1 0 0; }
    NewJob Input { border: none; height: 1; background: $panel; padding: 0 1; margin-right: 2; }
    NewJob Input:focus { border: none; background: $primary 25%; }
    NewJob #kind { width: 1fr; } NewJob #queue { width: 20; margin-right: 0; }
    NewJob #priority { width: 12; } NewJob #delay { width: 10; } NewJob #retries { width: 8; }
    NewJob #timeout { width: 1fr; margin-right: 0; }
    NewJob #kinds, NewJob #check, NewJob #same { width: 100%; padding: 0 1; }
    NewJob #kinds { height: 1; color: $text-muted; padding-left: 5; }
    NewJob TextArea { width: 100%; height: 1fr; min-height: 4; border: round $border; background: $surface; padding: 0; }
    NewJob TextArea:focus { border: round $primary; }
    NewJob #check { height: 1; color: $success; } NewJob #check.-wrong { color: $error; } NewJob #same { height: 2; color: $text-muted; }
    NewJob #buttons { margin: 0; align-horizontal: right; }
    NewJob Button { margin-left: 2; min-width: 16; height: 1; border: none; background: $panel; color: $foreground;
        text-style: none; padding: 0 2; }
    NewJob Button:focus { background: $primary; color: $background; text-style: bold !important; }
    """
    BINDINGS = [
        Binding("escape", "leave", "close"),
        Binding("ctrl+s", "submit", "submit"),
        Binding("ctrl+j", "submit", "submit", show=False),
    ]
    draft: dict[str, str] = {}

    def __init__(self, tasks: Sequence[dict[str, Any]], queues: Sequence[str], queue: str) -> None:
        super().__init__()
        self._tasks = {
            str(task.get("kind")): task for task in sorted(tasks, key=lambda one: str(one.get("kind")))
        }
        self._queues, self._queue = list(queues), queue
        self._filled_for = ""

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = "New job"
        box.border_subtitle = (
            "tab next field · ↑ ↓ known kinds · ctrl-s submits · esc closes, the draft is kept"
        )
        was = NewJob.draft
        with box:
            with Horizontal():
                yield Label("kind")
                suggest = SuggestFromList(self._tasks, case_sensitive=False)
                yield Input(was.get("kind", ""), id="kind", placeholder="email.send", suggester=suggest)
                yield Label("queue")
                yield Input(
                    was.get("queue", self._queue), id="queue", suggester=SuggestFromList(self._queues)
                )
            yield Static(id="kinds")
            with Horizontal():
                yield Label("priority")
                suggest = SuggestFromList(PRIORITIES)
                yield Input(was.get("priority", "medium"), id="priority", suggester=suggest)
                yield Label("delay s")
                yield Input(was.get("delay", "0"), id="delay")
                yield Label("retries")
                yield Input(was.get("retries", "3"), id="retries")
                yield Label("limit s")
                yield Input(was.get("timeout", ""), id="timeout", placeholder="task's")
            yield TextArea(
                was.get("payload", "{}"), id="payload", tab_behavior="focus", show_line_numbers=True
            )
            yield Static(id="check")
            yield Static(id="same")
            with Horizontal(id="buttons"):
                yield Button(Content("Cancel (esc)"), id="no", compact=True)
                yield Button(Content("Submit (ctrl-s)"), id="yes", compact=True)

    def on_mount(self) -> None:
        self.query_one("#payload", TextArea).border_title = "payload (JSON)"
        self._filled_for = NewJob.draft.get("kind", "")
        self.query_one("#kind").focus()
        self._check()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "kind":
            self._fill()
        self._check()

    def on_text_area_changed(self) -> None:
        self._check()

    def on_input_submitted(self) -> None:
        self.focus_next()

    def on_key(self, event: events.Key) -> None:
        """Up and down in the field of the kind go through those that workers know."""
        field = self.query_one("#kind", Input)
        if event.key in ("up", "down") and field.has_focus and self._tasks:
            kinds = list(self._tasks)
            step = 1 if event.key == "down" else -1
            at = kinds.index(field.value) + step if field.value in kinds else (0 if step > 0 else -1)
            field.value = kinds[at % len(kinds)]
            field.cursor_position = len(field.value)
            event.stop()
            event.prevent_default()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "yes":
            self.action_submit()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        NewJob.draft = {name: self._value(name) for name in _FIELDS} | {"payload": self._area.text}
        self.dismiss(None)

    def action_submit(self) -> None:
        body, wrong = self._body()
        if wrong:
            self._check()
            self.app.bell()
        else:
            NewJob.draft = {}
            self.dismiss(body)

    @property
    def _area(self) -> TextArea:
        return self.query_one("#payload", TextArea)

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _fill(self) -> None:
        """A known kind brings an example of its payload, unless one was typed."""
        kind, area = self._value("kind"), self._area
        task = self._tasks.get(kind)
        before = self._tasks.get(self._filled_for)
        untouched = area.text.strip() in ("{}", "") or (before is not None and area.text == _example(before))
        if task is None or kind == self._filled_for or not untouched:
            return
        self._filled_for = kind
        area.text = _example(task)
        if task.get("queues") and self._value("queue") not in task["queues"]:
            self.query_one("#queue", Input).value = str(task["queues"][0])

    def _body(self) -> tuple[dict[str, Any], str]:
        body: dict[str, Any] = {"kind": self._value("kind"), "queue": self._value("queue") or "default"}
        if not body["kind"]:
            return body, "kind: name the task that is to run"
        body["priority"] = self._value("priority") or "medium"
        if body["priority"] not in PRIORITIES:
            return body, f"priority: one of {', '.join(PRIORITIES)}"
        for name, field, least in _NUMBERS:
            if not (text := self._value(name)):
                continue
            try:
                number = float(text)
            except ValueError:
                return body, f"{name}: {text!r} is not a number"
            if not least <= number < 1e9:
                return body, f"{name}: must be {least:g} or more"
            if number or name == "retries":
                body[field] = int(number) if number == int(number) else number
        schema = Doc(self._tasks.get(body["kind"])).doc("schema").raw
        body["payload"], wrong = read_payload(self._area.text, schema)
        return body, wrong

    def _check(self) -> None:
        body, wrong = self._body()
        known = body["kind"] in self._tasks
        good = "✓ ready" if known else "✓ ready; no live worker knows this kind, it waits for one"
        check = self.query_one("#check", Static)
        check.update(Content(f"! {wrong}" if wrong else good))
        check.set_class(bool(wrong), "-wrong")
        self._area.border_title = Content(
            f"payload (JSON), checked as {body['kind']}" if known else "payload (JSON)"
        )
        self.query_one("#same", Static).update(Content("same as  " + command_line(body)))
        if known:
            self.query_one("#kinds", Static).update(Content(_about(self._tasks[body["kind"]])))
            return
        matching = [kind for kind in self._tasks if body["kind"] in kind] or list(self._tasks)
        told = (
            "known: " + "  ".join(matching) if matching else "no worker is there to name its kinds; type one"
        )
        self.query_one("#kinds", Static).update(Content(told))


def _about(task: dict[str, Any]) -> str:
    """What its workers say of a kind."""
    doc = Doc(task)
    workers = doc.whole("workers")
    parts = [f"{workers} worker{'s run' if workers != 1 else ' runs'} it"]
    if doc.texts("queues"):
        parts.append(f"from {', '.join(doc.texts('queues'))}")
    if (limit := doc.real("timeout_s")) is not None:
        parts.append(f"limit {limit:g} s")
    if "max_retries" in doc.raw:
        parts.append(f"retries {doc.whole('max_retries')}")
    return " · ".join(parts)


def _example(task: dict[str, Any]) -> str:
    return json.dumps(example(task.get("schema") or {}), indent=2)
