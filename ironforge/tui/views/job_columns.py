"""How a job looks as a row: which columns for which status, and what is in them."""

from __future__ import annotations

from dataclasses import replace

from ironforge.tui import words
from ironforge.tui.models import JobRow
from ironforge.tui.store import Store
from ironforge.tui.theme import CYAN, DIM, EMBER, FADED, GOLD, INK, PRIORITY_COLOUR, RED, STATUS_COLOUR, style
from ironforge.tui.widgets.grid import Cell, Column, Row

_TITLES = {
    "queued": "WAITED",
    "running": "ELAPSED",
    "scheduled": "DUE",
    "retrying": "DUE",
    "dead": "DIED",
    "completed": "DONE",
    "cancelled": "ENDED",
}
_PROGRESS = Column("progress", "PROGRESS", 12, keep=80)
_ERROR = Column("error", "ERROR", 20, keep=94, grows=3)


def columns_of(status: str, *, wide: bool) -> list[Column]:
    """`wide`: all of them, however narrow the terminal."""
    failed = status in ("retrying", "dead")
    columns = [
        Column("id", "JOB", 12, keep=100),
        Column("kind", "KIND", 14, keep=99, grows=1, most=28),
        Column("queue", "QUEUE", 9, keep=60),
        Column("priority", "PRIORITY", 8, keep=50),
        Column("retries", "RETRY", 5, right=True, keep=90),
        Column("when", _TITLES.get(status, "WHEN"), 9, right=True, keep=95, calm=True),
        *([_PROGRESS] if status == "running" else [_ERROR] if failed else []),
        *([Column("worker", "WORKER", 20, keep=55)] if status == "running" else []),
        Column("payload", "PAYLOAD", 18, keep=40 if failed else 70, grows=2),
    ]
    return [replace(column, keep=100) for column in columns] if wide else columns


def draw_row(row: JobRow, store: Store, mode: str, pending: str) -> Row:
    """`pending`: what was asked for this job and is not answered yet."""
    cells: dict[str, Cell] = {
        "id": (words.short_id(row.id), style(STATUS_COLOUR.get(row.status, INK))),
        "kind": (row.kind, style(INK, bold=True)),
        "queue": (row.queue, FADED),
        "priority": (row.priority, style(PRIORITY_COLOUR.get(row.priority, INK))),
        "retries": (f"{row.retry_count}/{row.max_retries}", style(GOLD) if row.retry_count else FADED),
        "when": (pending, style(GOLD, bold=True)) if pending else _when(row, store, mode),
        "error": (row.error or "-", style(RED) if row.error else FADED),
        "worker": (row.worker or "-", FADED),
        "progress": _progress(row),
        "payload": (row.payload, FADED),
    }
    return Row(row.id, cells)


def _when(row: JobRow, store: Store, mode: str) -> Cell:
    moments = {
        "queued": row.created_s,
        "running": row.started_s,
        "scheduled": row.run_at_s,
        "retrying": row.run_at_s,
    }
    at_s = moments.get(row.status, row.finished_s)
    if row.status == "running" and row.cancel_requested:
        return "cancel…", style(GOLD)
    if mode != "relative" or at_s is None:
        return words.clock(at_s, mode), style(INK)
    if row.status == "running" and store.dimmed:
        return "?", FADED
    if row.status in ("scheduled", "retrying"):
        return words.clock(at_s, now_s=store.server_now_s), style(CYAN)
    ago = words.age(max(0.0, store.server_now_s - at_s))
    return (ago, style(INK)) if row.status in ("queued", "running") else (f"{ago} ago", style(DIM))


def _progress(row: JobRow) -> Cell:
    if row.fraction is None:
        return "-", style(DIM)
    return words.fraction_of(12, row.fraction), style(EMBER)
