"""One job: payload, error, attempts, timeline, raw."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from rich.style import Style
from textual.app import ComposeResult

from ironforge.safe_text import safe_text
from ironforge.tui import words
from ironforge.tui.store import JobRow, job_row
from ironforge.tui.theme import (
    BLUE,
    CYAN,
    EMBER,
    FADED,
    GOLD,
    GREEN,
    HEAD,
    INK,
    RED,
    STATUS_COLOUR,
    STATUS_GLYPH,
    VIOLET,
    style,
)
from ironforge.tui.views.view import View
from ironforge.tui.widgets.lines import Line, Lines, Pane

TABS = ("payload", "error", "attempts", "timeline", "raw")
_FRAME = re.compile(r'^  File "(.+)", line (\d+), in (.+)$')
_LIBRARY = ("site-packages", "/lib/python", "asyncio/", "<frozen")
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*"\s*:)|("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*)|(true|false|null)|(\s+|.)')
_OUTCOME_COLOUR = {
    "completed": GREEN,
    "failed": RED,
    "crashed": RED,
    "lapsed": RED,
    "cancelled": GOLD,
    "released": CYAN,
}
LONGEST_TEXT = 400_000


class JobView(View):
    key = "job"
    DEFAULT_CSS = "JobView #job-head { height: 4; padding: 0 1; } JobView Pane { padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__(id="job")
        self._head = Lines(id="job-head")
        self._pane = Pane(id="job-pane")
        self.row: JobRow | None = None
        self._gone = ""
        self._tab = "payload"
        self._folded = True
        self._stale = False
        self._fetched_at = 0.0
        self._drawn: tuple[Any, ...] = ()

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._pane

    def main(self) -> Pane:
        return self._pane

    def look_at(self, row: JobRow, tab: str = "") -> None:
        self.row, self._gone, self._stale, self._drawn = row, "", True, ()
        self._tab = tab or ("error" if row.error and row.status in ("dead", "retrying") else "payload")
        self.draw()

    def hint(self, queues: set[str]) -> None:
        if "*" in queues or (self.row and self.row.queue in queues):
            self._stale = True

    def draw(self) -> None:
        if (
            self.row
            and self._stale
            and time.monotonic() - self._fetched_at > 0.5
            and not self.store.can_change.endswith("offline")
        ):
            self._stale, self._fetched_at = False, time.monotonic()
            self.console.load(self._fetch(self.row.id), self._failed)
        self._head.show(self._head_lines())
        state = (
            self.row and self.row.id,
            self.row and json.dumps(self.row.raw, default=str),
            self._tab,
            self._folded,
            self._gone,
        )
        if state != self._drawn and self.row:
            keep = bool(self._drawn) and self._drawn[0] == state[0] and self._drawn[2] == self._tab
            self._drawn = state
            self._pane.show(self._content(self.row), keep_place=keep)

    async def _fetch(self, job_id: str) -> None:
        raw = await self.console.api.job(job_id)
        if self.row and self.row.id == job_id:
            self.row = job_row(raw)
            self.draw()

    def _failed(self, words_: str) -> None:
        self._gone = words_
        self.draw()

    def _head_lines(self) -> list[Line]:
        row = self.row
        if row is None:
            return [[("no job", FADED)]]
        colour = STATUS_COLOUR.get(row.status, INK)
        tabs: Line = []
        for tab in TABS:
            here = tab == self._tab
            tabs += [
                (f" {tab.capitalize()} ", style(INK, bold=True) + Style(reverse=True) if here else FADED),
                (" ", FADED),
            ]
        extra = f"   {self._gone}" if self._gone else ""
        reason = row.raw.get("reason")
        return [
            [
                (f"{row.queue} › {row.status} › ", FADED),
                (row.id, style(EMBER, bold=True)),
                (extra, style(RED)),
            ],
            [
                (row.kind, style(INK, bold=True)),
                (f"   {STATUS_GLYPH.get(row.status, '')} {row.status.upper()}", style(colour, bold=True)),
                (f"  {safe_text(str(reason), 40)}" if reason else "", style(RED)),
                (f"   retries {row.retry_count}/{row.max_retries}", FADED),
                (f"   {row.priority}", FADED),
                (f"   crashes {row.raw.get('crashes')}" if row.raw.get("crashes") else "", style(RED)),
                (
                    f"   retry of {words.short_id(str(row.raw.get('retry_of')))}"
                    if row.raw.get("retry_of")
                    else "",
                    FADED,
                ),
                (f"   {row.fraction:.0%} {row.doing}" if row.fraction is not None else "", style(GOLD)),
            ],
            [],
            tabs,
        ]

    def _content(self, row: JobRow) -> list[Line]:
        match self._tab:
            case "error":
                return self._error(row)
            case "attempts":
                return _attempts(row)
            case "timeline":
                return _timeline(row, self.console.time_mode)
            case "raw":
                return json_lines(row.raw)
            case _:
                lines = [[("PAYLOAD", HEAD)], *json_lines(row.raw.get("payload"))]
                if row.raw.get("result") is not None:
                    lines += [[], [("RESULT", HEAD)], *json_lines(row.raw.get("result"))]
                return lines

    def _error(self, row: JobRow) -> list[Line]:
        error = row.raw.get("last_error")
        if not error:
            return [[("no error: no attempt of this job failed", FADED)]]
        lines: list[Line] = [
            [
                (" ERROR ", Style(color="#ffffff", bgcolor="#8c2222", bold=True)),
                ("  " + row.error, style(RED, bold=True)),
            ],
            [],
        ]
        return lines + traceback_lines(str(error.get("traceback", "")), self._folded)

    def unavailable(self, command: str) -> str:
        row = self.row
        if row is None:
            return "there is no job"
        if command == "retry" and row.status not in ("dead", "cancelled", "retrying", "scheduled"):
            return f"a {row.status} job cannot be retried"
        if command == "cancel" and row.status in ("dead", "completed", "cancelled"):
            return f"a {row.status} job has ended"
        if command == "delete" and row.status == "running":
            return "a running job cannot be deleted; C cancels it"
        return ""

    def targets(self) -> list[JobRow]:
        return [self.row] if self.row else []

    def do(self, command: str) -> bool:
        match command:
            case "status.next" | "status.previous":
                step = 1 if command == "status.next" else -1
                self._tab = TABS[(TABS.index(self._tab) + step) % len(TABS)]
            case "raw":
                self._tab = "raw"
            case "fold":
                self._folded = not self._folded
            case "next" | "previous":
                neighbour = self.console.jobs.neighbour(1 if command == "next" else -1)
                if neighbour:
                    self.look_at(neighbour, self._tab)
            case _:
                return False
        self.draw()
        return True


def json_lines(value: Any) -> list[Line]:
    """Pretty JSON, coloured. A string never spans two lines, so each line is coloured alone."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    shown = text[:LONGEST_TEXT]
    lines = [_json_line(safe_text(part, 2_000)) for part in shown.split("\n")]
    if len(text) > LONGEST_TEXT:
        lines.append([(f"… {len(text) - LONGEST_TEXT:,} characters more; GET /jobs/ID has all", FADED)])
    return lines


def _json_line(text: str) -> Line:
    parts: Line = []
    for key, string, number, word, other in _TOKEN.findall(text):
        if key:
            parts.append((key, style(BLUE)))
        elif string:
            parts.append((string, style(GREEN)))
        elif number:
            parts.append((number, style(GOLD)))
        elif word:
            parts.append((word, style(VIOLET)))
        else:
            parts.append((other, FADED))
    return parts


def traceback_lines(text: str, folded: bool) -> list[Line]:
    """A traceback, the frames of libraries folded into one line that counts them."""
    lines: list[Line] = []
    hidden, in_library = 0, False
    for part in text.split("\n"):
        frame = _FRAME.match(part)
        if frame:
            in_library = any(mark in frame[1] for mark in _LIBRARY)
            hidden += in_library
        elif not part.startswith("    "):
            in_library = False
        if folded and in_library:
            continue
        if hidden and folded:
            lines.append([(f"  … {hidden} library frames hidden (f shows them)", FADED)])
            hidden = 0
        if frame:
            lines.append(
                [
                    ("  ", FADED),
                    (safe_text(f"{frame[1]}:{frame[2]}", 200), style(CYAN)),
                    (f"  {safe_text(frame[3], 80)}", style(INK, bold=True)),
                ]
            )
        else:
            lines.append([(safe_text(part, 1_000), style(INK) if part.startswith("    ") else style(RED))])
    if hidden and folded:
        lines.append([(f"  … {hidden} library frames hidden (f shows them)", FADED)])
    return lines


def _attempts(row: JobRow) -> list[Line]:
    attempts: list[dict[str, Any]] = row.raw.get("attempts") or []
    if not attempts:
        return [[("no attempt has ended yet", FADED)]]
    lines: list[Line] = [
        [(f"{'ATT':>4}  {'STARTED':<10}{'RAN':>8}  {'OUTCOME':<11}{'WORKER':<26}ERROR", HEAD)]
    ]
    for attempt in attempts:
        started, finished = (
            words.epoch_s(attempt.get("started_at")),
            words.epoch_s(attempt.get("finished_at")),
        )
        ran = words.age(finished - started) if started and finished else "-"
        error = attempt.get("error") or {}
        outcome = safe_text(str(attempt.get("outcome")), 12)
        said = safe_text(f"{error.get('type')}: {error.get('message')}", 200) if error else ""
        lines.append(
            [
                (f"{attempt.get('number')!s:>4}  ", style(INK)),
                (f"{words.clock(started, 'local'):<10}", FADED),
                (f"{ran:>8}  ", style(INK)),
                (f"{outcome:<11}", style(_OUTCOME_COLOUR.get(outcome, INK), bold=True)),
                (f"{safe_text(str(attempt.get('worker')), 25):<26}", FADED),
                (said, style(RED)),
            ]
        )
    return lines


def _timeline(row: JobRow, mode: str) -> list[Line]:
    found: list[tuple[float, str, str, str]] = []
    if row.created_s:
        found.append((row.created_s, "+", "submitted", INK))
    for attempt in row.raw.get("attempts") or []:
        started, finished = (
            words.epoch_s(attempt.get("started_at")),
            words.epoch_s(attempt.get("finished_at")),
        )
        if started:
            found.append((started, "▶", f"attempt {attempt.get('number')} started", GOLD))
        if finished:
            outcome = safe_text(str(attempt.get("outcome")), 12)
            found.append(
                (
                    finished,
                    "■",
                    f"attempt {attempt.get('number')} {outcome}",
                    _OUTCOME_COLOUR.get(outcome, INK),
                )
            )
    if row.status == "running" and row.started_s:
        found.append((row.started_s, "▶", f"running on {row.worker}", GOLD))
    if row.status in ("scheduled", "retrying") and row.run_at_s:
        found.append((row.run_at_s, "◷", "due", CYAN))
    if row.finished_s:
        found.append(
            (
                row.finished_s,
                STATUS_GLYPH.get(row.status, "■"),
                row.status,
                STATUS_COLOUR.get(row.status, INK),
            )
        )
    lines: list[Line] = []
    before: float | None = None
    for at_s, sign, what, colour in sorted(found, key=lambda one: one[0]):
        gap = f"+{words.age(at_s - before)}" if before is not None else ""
        before = at_s
        lines.append(
            [
                (f"{words.clock(at_s, 'local' if mode == 'relative' else mode):<10}", FADED),
                (f"{gap:>9}  ", FADED),
                (f"{sign} {what}", style(colour)),
            ]
        )
    return lines
