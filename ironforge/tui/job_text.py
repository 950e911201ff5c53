"""What there is to read about one job, as lines: its error, attempts and timeline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ironforge.safe_text import safe_text
from ironforge.tui import words
from ironforge.tui.doc import Doc
from ironforge.tui.json_lines import JsonLines
from ironforge.tui.models import JobRow
from ironforge.tui.theme import (
    CYAN,
    DIM,
    EMBER,
    FADED,
    GOLD,
    GREEN,
    HEAD,
    INK,
    RED,
    STATUS_COLOUR,
    STATUS_GLYPH,
    style,
)
from ironforge.tui.widgets.lines import Line

_FRAME = re.compile(r'^\s*File "(.+)", line (\d+), in (.+)$')
_LIBRARY = ("site-packages", "/lib/python", "<frozen", "/ironforge/worker/", "/ironforge/task.py")
_OUTCOMES = {
    "completed": GREEN,
    "failed": RED,
    "crashed": RED,
    "lapsed": RED,
    "cancelled": GOLD,
    "released": CYAN,
}


def payload_lines(row: JobRow) -> Sequence[Line]:
    """The payload, and what the handler returned."""
    result = row.raw.get("result")
    if result is None:
        return JsonLines(row.raw.get("payload"))
    shown = [*JsonLines(row.raw.get("payload"))] if len(row.payload) < 150 else None
    if shown is None:
        return JsonLines({"payload": row.raw.get("payload"), "result": result})
    return [*shown, [], [("returned", HEAD)], *JsonLines(result)]


def error_lines(row: JobRow, *, folded: bool, width: int = 200) -> list[Line]:
    """The last error with its traceback."""
    error = Doc(row.raw.get("last_error"))
    if not error.raw:
        reason = Doc(row.raw).text("reason", 60)
        words_ = f"dead without an error: {reason}" if reason else "no attempt of this job failed"
        return [[(words_, FADED)]]
    return [
        [("ERROR  ", HEAD), (row.error, style(RED, bold=True))],
        [],
        *traceback_lines(str(error.raw.get("traceback") or ""), folded=folded, width=width),
    ]


class _Frame(NamedTuple):
    place: str
    function: str
    source: str
    library: bool


def traceback_lines(text: str, *, folded: bool, width: int = 200) -> list[Line]:
    """A traceback with a line for each frame, those of libraries folded into one that counts them."""
    found = _frames(text)
    own = [frame for frame in found if isinstance(frame, _Frame) and not (folded and frame.library)]
    wide = min(max((len(frame.place) for frame in own), default=0), max(20, width // 2))
    longest = min(24, max((len(frame.function) for frame in own), default=0))
    lines: list[Line] = []
    hidden = 0

    def fold() -> None:
        nonlocal hidden
        if hidden:
            plural = "s" if hidden > 1 else ""
            lines.append([(f"  … {hidden} library frame{plural} hidden (f shows them)", FADED)])
        hidden = 0

    for frame in found:
        if isinstance(frame, str):
            fold()
            lines.append([(frame, FADED if frame.startswith("Traceback") else style(RED))])
        elif folded and frame.library:
            hidden += 1
        else:
            fold()
            lines.append(
                [
                    ("  ", FADED),
                    (f"{frame.place:<{wide}}  ", style(DIM if frame.library else CYAN)),
                    (f"{frame.function:<{longest}}  ", style(DIM if frame.library else INK, bold=True)),
                    (frame.source, FADED),
                ]
            )
    fold()
    return lines


def _frames(text: str) -> list[_Frame | str]:
    """Frames and the other lines of a traceback, in order; the marks under columns are left out."""
    found: list[_Frame | str] = []
    for part in text.split("\n"):
        frame = _FRAME.match(part)
        if frame:
            place = words.place(safe_text(f"{frame[1]}:{frame[2]}", 200))
            library = any(mark in frame[1] for mark in _LIBRARY)
            found.append(_Frame(place, safe_text(frame[3], 60), "", library))
        elif found and isinstance(found[-1], _Frame) and part.startswith("    "):
            if not found[-1].source:
                found[-1] = found[-1]._replace(source=safe_text(part.strip(), 300))
        elif part.strip():
            found.append(safe_text(part, 1_000))
    return found


def attempt_lines(row: JobRow, mode: str) -> list[Line]:
    attempts = Doc(row.raw).docs("attempts")
    if not attempts:
        return [[("no attempt has ended yet", FADED)]]
    longest = max(len(attempt.text("worker", 40)) for attempt in attempts)
    head = f"{'ATT':>4}  {'STARTED':<9} {'RAN':>7}  {'OUTCOME':<10}  {'WORKER':<{longest}}  ERROR"
    lines: list[Line] = [[(head, HEAD)]]
    for at, attempt in enumerate(attempts):
        started, finished = attempt.at("started_at"), attempt.at("finished_at")
        ran = words.age(finished - started) if started is not None and finished is not None else "-"
        outcome, error = attempt.text("outcome", 12), attempt.doc("error")
        said = f"{error.text('type', 100)}: {error.text('message')}" if error.raw else ""
        due_s = row.run_at_s if row.status == "retrying" else None
        following = attempts[at + 1].at("started_at") if at + 1 < len(attempts) else due_s
        wait = f"   next after {words.age(following - finished)}" if following and finished and said else ""
        lines.append(
            [
                (f"{attempt.whole('number'):>4}  ", style(INK)),
                (f"{words.clock(started, 'utc' if mode == 'utc' else 'local'):<9} ", FADED),
                (f"{ran:>7}  ", style(INK)),
                (f"{outcome:<10}  ", style(_OUTCOMES.get(outcome, INK), bold=True)),
                (f"{attempt.text('worker', 40):<{longest}}  ", FADED),
                (said, style(RED)),
                (wait, FADED),
            ]
        )
    return lines


def timeline_lines(row: JobRow, mode: str) -> list[Line]:
    found: list[tuple[float, str, str, str]] = []
    if row.created_s is not None:
        found.append((row.created_s, "+", "submitted", INK))
    for attempt in Doc(row.raw).docs("attempts"):
        started, finished = attempt.at("started_at"), attempt.at("finished_at")
        number, outcome = attempt.whole("number"), attempt.text("outcome", 12)
        if started is not None:
            found.append((started, "▶", f"attempt {number} started on {attempt.text('worker', 40)}", GOLD))
        if finished is not None:
            found.append((finished, "■", f"attempt {number} {outcome}", _OUTCOMES.get(outcome, INK)))
    if row.status == "running" and row.started_s is not None:
        found.append((row.started_s, "▶", f"running on {row.worker}", GOLD))
    if row.status in ("scheduled", "retrying") and row.run_at_s is not None:
        found.append((row.run_at_s, "◷", "due", CYAN))
    if row.finished_s is not None:
        sign = STATUS_GLYPH.get(row.status, "■")
        found.append((row.finished_s, sign, row.status, STATUS_COLOUR.get(row.status, INK)))
    lines: list[Line] = []
    before: float | None = None
    for at_s, sign, what, colour in sorted(found, key=lambda one: one[0]):
        gap = f"+{words.age(at_s - before)}" if before is not None else ""
        before = at_s
        clock = words.clock(at_s, "local" if mode == "relative" else mode)
        lines.append([(f"{clock:<10}", FADED), (f"{gap:>9}  ", FADED), (f"{sign} {what}", style(colour))])
    return lines


def head_line(row: JobRow) -> Line:
    """Kind, status and what is special about the job."""
    doc = Doc(row.raw)
    colour = STATUS_COLOUR.get(row.status, INK)
    parts: Line = [
        (row.kind, style(INK, bold=True)),
        (f"   {STATUS_GLYPH.get(row.status, '')} {row.status.upper()}", style(colour, bold=True)),
    ]
    if reason := doc.text("reason", 60):
        parts.append((f" ({reason})", style(RED)))
    parts.append((f"   retries {row.retry_count}/{row.max_retries}   {row.priority}", FADED))
    if row.cancel_requested and row.status == "running":
        parts.append(("   cancel asked", style(GOLD)))
    for name, what in (("crashes", "crashes"), ("lapses", "lapses"), ("generation", "retried by hand")):
        if doc.whole(name):
            parts.append((f"   {what} {doc.whole(name)}", style(GOLD)))
    if doc.text("retry_of", 64):
        parts.append((f"   retry of {words.short_id(doc.text('retry_of', 64))}", FADED))
    if row.fraction is not None and row.status == "running":
        parts.append((f"   {words.fraction_of(15, row.fraction)} {row.doing}", style(EMBER)))
    return parts
