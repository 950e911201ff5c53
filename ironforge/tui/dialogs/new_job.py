"""N: a new job. What is typed is checked as it is typed, and shown as the same command for a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Button, Input, Label, Static, TextArea

PRIORITIES = ("critical", "high", "medium", "low")


class NewJob(ModalScreen[dict[str, Any] | None]):
    """Gives the body of POST /jobs."""

    DEFAULT_CSS = """
    NewJob { align: center middle; }
    NewJob > Vertical { width: 84; max-width: 98%; height: 22; max-height: 96%; border: round $primary; background: $surface;
        padding: 0 1; border-title-color: $primary; border-title-style: bold; border-subtitle-color: $text-muted; }
    NewJob Horizontal { height: 1; margin-bottom: 1; }
    NewJob .first { margin-top: 1; }
    NewJob Label { width: auto; color: $text-muted; margin: 0 1 0 0; }
    NewJob Input { border: none; height: 1; background: $panel; padding: 0 1; margin-right: 2; }
    NewJob Input:focus { border: none; background: $primary 25%; }
    NewJob #kind { width: 1fr; } NewJob #queue { width: 20; }
    NewJob #priority { width: 12; } NewJob #delay { width: 10; } NewJob #retries { width: 8; } NewJob #timeout { width: 10; }
    NewJob TextArea { height: 1fr; border: round $border; background: $surface; }
    NewJob TextArea:focus { border: round $primary; }
    NewJob #check { height: 1; } NewJob #same { height: 1; color: $text-muted; }
    NewJob #buttons { height: 3; margin: 0; align-horizontal: right; }
    NewJob Button { margin-left: 2; }
    """
    BINDINGS = [
        Binding("escape", "leave", "close"),
        Binding("ctrl+s", "submit", "submit"),
        Binding("ctrl+j", "submit", "submit", show=False),
    ]

    def __init__(self, tasks: Sequence[dict[str, Any]], queues: Sequence[str], queue: str) -> None:
        super().__init__()
        self._tasks = {str(task["kind"]): task for task in tasks}
        self._queues, self._queue = list(queues), queue
        self._filled_for = ""

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title, box.border_subtitle = "New job", "tab next field · ctrl-s submits · esc closes"
        with box:
            with Horizontal(classes="first"):
                yield Label("kind")
                yield Input(
                    id="kind",
                    placeholder="email.send",
                    suggester=SuggestFromList(sorted(self._tasks), case_sensitive=False),
                )
                yield Label("queue")
                yield Input(self._queue, id="queue", suggester=SuggestFromList(self._queues))
            with Horizontal():
                yield Label("priority")
                yield Input("medium", id="priority", suggester=SuggestFromList(PRIORITIES))
                yield Label("delay s")
                yield Input("0", id="delay")
                yield Label("retries")
                yield Input("3", id="retries")
                yield Label("limit s")
                yield Input("", id="timeout", placeholder="task's")
            yield TextArea("{}", id="payload", tab_behavior="focus")
            yield Static(id="check")
            yield Static(id="same")
            with Horizontal(id="buttons"):
                yield Button(Content("Cancel"), id="no")
                yield Button(Content("Submit"), id="yes", variant="primary")

    def on_mount(self) -> None:
        self.query_one("#payload", TextArea).border_title = "payload (JSON)"
        self.query_one("#kind").focus()
        self._check()

    def on_input_changed(self) -> None:
        self._fill()
        self._check()

    def on_text_area_changed(self) -> None:
        self._check()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "yes":
            self.action_submit()
        else:
            self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_submit(self) -> None:
        body, wrong = self._body()
        if wrong:
            self._check()
            self.app.bell()
        else:
            self.dismiss(body)

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _fill(self) -> None:
        """A known kind brings an example of its payload, unless one was typed."""
        kind, area = self._value("kind"), self.query_one("#payload", TextArea)
        task = self._tasks.get(kind)
        if (
            task is None
            or kind == self._filled_for
            or (area.text.strip() not in ("{}", "") and not self._filled_for)
        ):
            return
        self._filled_for = kind
        area.text = json.dumps(example(task.get("schema") or {}), indent=2)
        area.border_title = f"payload (JSON) for {kind}"
        if task.get("queues") and self._value("queue") not in task["queues"]:
            self.query_one("#queue", Input).value = str(task["queues"][0])

    def _body(self) -> tuple[dict[str, Any], str]:
        body: dict[str, Any] = {"kind": self._value("kind"), "queue": self._value("queue") or "default"}
        if not body["kind"]:
            return body, "kind: name the task that is to run"
        body["priority"] = self._value("priority") or "medium"
        if body["priority"] not in PRIORITIES:
            return body, f"priority: one of {', '.join(PRIORITIES)}"
        for name, field, least in (
            ("delay", "delay_s", 0),
            ("retries", "max_retries", 0),
            ("timeout", "timeout_s", 0.001),
        ):
            text = self._value(name)
            if not text:
                continue
            try:
                number = float(text)
            except ValueError:
                return body, f"{name}: {text!r} is not a number"
            if number < least:
                return body, f"{name}: must not be below {least}"
            if number or name == "retries":
                body[field] = int(number) if number == int(number) else number
        text = self.query_one("#payload", TextArea).text.strip() or "{}"
        try:
            payload: object = json.loads(text)
        except ValueError as error:
            return body, f"payload: {error}"
        if not isinstance(payload, dict):
            return body, "payload: a JSON object is needed"
        body["payload"] = payload
        return body, self._missing(body)

    def _missing(self, body: dict[str, Any]) -> str:
        schema = (self._tasks.get(body["kind"]) or {}).get("schema") or {}
        missing = [name for name in schema.get("required") or [] if name not in body["payload"]]
        known = schema.get("properties") or {}
        extra = (
            [name for name in body["payload"] if name not in known]
            if schema.get("additionalProperties") is False
            else []
        )
        if missing:
            return f"payload: {missing[0]} is missing"
        return f"payload: {extra[0]} is unknown to {body['kind']}" if extra else ""

    def _check(self) -> None:
        body, wrong = self._body()
        known = body["kind"] in self._tasks
        words = (
            f"! {wrong}" if wrong else "✓ ready" + ("" if known else "; no live worker knows this kind yet")
        )
        check = self.query_one("#check", Static)
        check.update(Content(words))
        check.styles.color = "#ff6f6f" if wrong else "#86d18b"
        self.query_one("#same", Static).update(Content("same as:  " + command_line(body)))


def example(schema: dict[str, Any]) -> dict[str, Any]:
    """A payload of the right shape, with what the schema says or plausible blanks."""
    blanks: dict[str, Any] = {
        "string": "",
        "integer": 0,
        "number": 0,
        "boolean": False,
        "array": [],
        "object": {},
    }
    found: dict[str, Any] = {}
    properties: dict[str, dict[str, Any]] = schema.get("properties") or {}
    for name, about in properties.items():
        if "default" in about:
            found[name] = about["default"]
        elif about.get("examples"):
            found[name] = about["examples"][0]
        else:
            found[name] = blanks.get(str(about.get("type")))
    return found


def command_line(body: dict[str, Any]) -> str:
    parts = ["ironforge", "submit", str(body.get("kind") or "KIND")]
    payload = body.get("payload")
    if payload:
        parts += ["--payload", json.dumps(payload, ensure_ascii=False)]
    if body.get("queue") not in (None, "default"):
        parts += ["--queue", body["queue"]]
    if body.get("priority") not in (None, "medium"):
        parts += ["--priority", body["priority"]]
    for field, flag in (("delay_s", "--delay"), ("max_retries", "--max-retries"), ("timeout_s", "--timeout")):
        if field in body and not (field == "max_retries" and body[field] == 3):
            parts += [flag, str(body[field])]
    return shlex.join(parts)
