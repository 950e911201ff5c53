"""2 Jobs: one queue or all, one status at a time, page by page."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from textual.app import ComposeResult

from ironforge.tui import words
from ironforge.tui.store import JobRow, job_row, matches
from ironforge.tui.theme import (
    CYAN,
    DIM,
    EMBER,
    FADED,
    GOLD,
    INK,
    PRIORITY_COLOUR,
    RED,
    STATUS_COLOUR,
    STATUS_GLYPH,
    STATUSES,
    style,
)
from ironforge.tui.views.view import View
from ironforge.tui.widgets.grid import Cell, Column, Grid, Row
from ironforge.tui.widgets.lines import Line, Lines

PAGE = 200
MOST_PAGES = 10
REFETCH_S = 0.5

_ID = Column("id", "JOB", 12, keep=100)
_KIND = Column("kind", "KIND", 16, keep=99, grows=True)
_QUEUE = Column("queue", "QUEUE", 10, keep=60)
_PRIORITY = Column("priority", "PRIORITY", 8, keep=50)
_RETRIES = Column("retries", "RETRY", 6, right=True, keep=90)
_WHEN = Column("when", "", 9, right=True, keep=95)
_ERROR = Column("error", "ERROR", 22, keep=94, grows=True)
_WORKER = Column("worker", "WORKER", 18, keep=55)
_PROGRESS = Column("progress", "PROGRESS", 16, keep=80)
_PAYLOAD = Column("payload", "PAYLOAD", 20, keep=40, grows=True)
_TITLES = {
    "queued": "WAITED",
    "running": "ELAPSED",
    "scheduled": "DUE",
    "retrying": "DUE",
    "dead": "DIED",
    "completed": "DONE",
    "cancelled": "ENDED",
}


class Showing(NamedTuple):
    """Which jobs are shown. `group`: a fingerprint of dead ones; `search`: asked of the server, beyond what is loaded."""

    status: str = "running"
    queue: str | None = None
    group: str | None = None
    search: str = ""


def columns_of(status: str, wide: bool) -> list[Column]:
    when = Column("when", _TITLES[status], 9, right=True, keep=95)
    middle = [_PROGRESS] if status == "running" else [_ERROR] if status in ("retrying", "dead") else []
    tail = [_WORKER] if status == "running" else []
    columns = [_ID, _KIND, _QUEUE, _PRIORITY, _RETRIES, when, *middle, *tail, _PAYLOAD]
    if wide:
        return [Column(c.key, c.title, c.width, c.right, 100, c.grows) for c in columns]
    return columns


class Jobs(View):
    key = "jobs"
    DEFAULT_CSS = "Jobs #crumb { height: 2; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__(id="jobs")
        self.showing = Showing()
        self.words = ""  # the filter over what is loaded
        self._crumb = Lines(id="crumb")
        self._grid = Grid(columns_of("running", False), id="joblist")
        self._loaded: dict[str, JobRow] = {}
        self._cursor: str | None = None
        self._total: int | None = None
        self._pages = 1
        self._sort: tuple[str, bool] | None = None
        self._wide = False
        self._stale = True
        self._fetched_at = 0.0
        self._loading = False

    def compose(self) -> ComposeResult:
        yield self._crumb
        yield self._grid

    def main(self) -> Grid:
        return self._grid

    # -- what is shown ------------------------------------------------------------------------------------------------

    def look_at(self, showing: Showing) -> None:
        """Shows other jobs."""
        if showing != self.showing:
            self.showing = showing
            self._loaded, self._cursor, self._total, self._pages = {}, None, None, 1
            self._grid.clear_marks()
            self._grid.show([])
            self._grid.set_columns(columns_of(showing.status, self._wide))
            self._grid.empty_words = ["loading …"]
        self._stale = True
        self.draw()

    def entered(self) -> None:
        self._stale = True

    def hint(self, queues: set[str]) -> None:
        if "*" in queues or self.showing.queue is None or self.showing.queue in queues:
            self._stale = True

    def draw(self) -> None:
        self._grid.dimmed = self.store.link in ("offline", "denied")
        due = time.monotonic() - self._fetched_at >= REFETCH_S
        if self._stale and due and not self._loading and self.store.link in ("live", "lag", "poll"):
            self._load()
        self._show_rows()
        self._crumb.show([self._crumb_line(), self._filter_line()])

    def _load(self) -> None:
        self._stale, self._loading, self._fetched_at = False, True, time.monotonic()
        self.console.load(self._fetch(self.showing, self._pages), self._failed)

    def _failed(self, words_: str) -> None:
        self._loading = False
        self._grid.empty_words = [words_, "r tries again"]
        self._grid.refresh()

    async def _fetch(self, showing: Showing, pages: int) -> None:
        """The first `pages` pages anew: rows are kept by id, so nothing jumps."""
        rows: dict[str, JobRow] = {}
        cursor: str | None = None
        total: int | None = None
        for _ in range(pages):
            page = await self.console.api.jobs(
                cursor,
                PAGE,
                status=showing.status,
                queue=showing.queue,
                error=showing.group,
                q=showing.search,
            )
            rows.update((row.id, row) for row in map(job_row, page["jobs"]))
            cursor, total = page.get("next_cursor"), page.get("total")
            if cursor is None:
                break
        self._loading = False
        if showing == self.showing:
            self._loaded, self._cursor, self._total = rows, cursor, total
            self._grid.empty_words = self._empty()
            self._grid.marks &= rows.keys()
            self.draw()

    def on_grid_near_end(self) -> None:
        if self._cursor is not None and not self._loading and self._pages < MOST_PAGES:
            self._pages += 1
            self._stale = True

    # -- rows ---------------------------------------------------------------------------------------------------------

    def visible(self) -> list[JobRow]:
        rows = [row for row in self._loaded.values() if not self.words or matches(row, self.words)]
        if self._sort:
            name, falling = self._sort
            rows.sort(key=lambda row: _sort_key(row, name), reverse=falling)
        return rows

    def _show_rows(self) -> None:
        now_s = self.store.server_now_s
        self._grid.show([self._row(row, now_s) for row in self.visible()])

    def _row(self, row: JobRow, now_s: float) -> Row:
        colour = STATUS_COLOUR.get(row.status, INK)
        cells: dict[str, Cell] = {
            "id": (words.short_id(row.id), style(colour)),
            "kind": (row.kind, style(INK, bold=True)),
            "queue": (row.queue, FADED),
            "priority": (row.priority, style(PRIORITY_COLOUR.get(row.priority, INK))),
            "retries": (f"{row.retry_count}/{row.max_retries}", style(GOLD) if row.retry_count else FADED),
            "when": self._when(row, now_s),
            "error": (row.error or "-", style(RED) if row.error else FADED),
            "worker": (row.worker or "-", FADED),
            "progress": _progress(row),
            "payload": (_payload(row), FADED),
        }
        return Row(row.id, cells)

    def _when(self, row: JobRow, now_s: float) -> Cell:
        at_s = {
            "queued": row.created_s,
            "running": row.started_s,
            "scheduled": row.run_at_s,
            "retrying": row.run_at_s,
        }.get(row.status, row.finished_s)
        if self.console.time_mode != "relative" or at_s is None:
            return words.clock(at_s, self.console.time_mode), style(INK)
        if row.status in ("scheduled", "retrying"):
            return words.clock(at_s, now_s=now_s), style(CYAN)
        if self.store.link == "offline":
            return "?", FADED
        if row.cancel_requested:
            return "cancel…", style(GOLD)
        return words.age(max(0.0, now_s - at_s)), style(INK)

    # -- lines around ---------------------------------------------------------------------------------------------------

    def _crumb_line(self) -> Line:
        counts = self._counts()
        parts: Line = [(self.showing.queue or "all queues", style(EMBER, bold=True)), (" › jobs  ", FADED)]
        if self.showing.group:
            return [*parts, (f"dead › group {self.showing.group}", style(RED, bold=True))]
        room = self.size.width - 2 - sum(len(text) for text, _ in parts)
        long = sum(len(status) + len(words.count(counts[status])) + 5 for status in STATUSES) <= room
        for status in STATUSES:
            here = status == self.showing.status
            look = style(STATUS_COLOUR[status], bold=True) if here else FADED
            name = f"{status} " if long or here else ""
            label = f"{STATUS_GLYPH[status]} {name}{words.count(counts[status])}"
            parts.append((f"[{label}]" if here else f" {label} ", look))
        return parts

    def _counts(self) -> dict[str, int]:
        queues = [q for q in self.store.queues if self.showing.queue in (None, q.get("name"))]
        return {status: sum(int(q.get(status) or 0) for q in queues) for status in STATUSES}

    def _filter_line(self) -> Line:
        shown, loaded = len(self._grid.rows), len(self._loaded)
        total = f" of {words.count(self._total)}" if self._total is not None else ""
        more = "; more below" if self._cursor else ""
        left: Line = []
        if self.words:
            left = [("/ ", style(EMBER, bold=True)), (self.words, style(INK)), ("   ", FADED)]
        if self.showing.search:
            left += [("server search: ", FADED), (self.showing.search, style(INK)), ("   ", FADED)]
        order = f"   sorted by {self._sort[0]}{' ▼' if self._sort[1] else ' ▲'}" if self._sort else ""
        count = f"{shown} of {loaded} loaded{total}{more}" if self.words else f"{loaded} loaded{total}{more}"
        return [*left, (count + order, FADED)]

    def _empty(self) -> list[str]:
        if self.words or self.showing.search:
            return ["Nothing matches", "esc clears the filter"]
        where = f" in {self.showing.queue}" if self.showing.queue else ""
        hints = {
            "dead": "Jobs out of retries appear here, with their error; R retries them",
            "scheduled": "Jobs with a delay wait here until they are due",
            "retrying": "Failed jobs wait here for their next attempt",
            "running": "What workers run right now appears here",
            "queued": "Jobs that could run now wait here; N submits one",
        }
        return [
            f"No {self.showing.status} jobs{where}",
            hints.get(self.showing.status, "h and l look at other statuses"),
        ]

    def foot(self) -> Line:
        marked = len(self._grid.marks)
        if not marked:
            return []
        hidden = marked - sum(row.id in self._grid.marks for row in self._grid.rows)
        return [
            (f"{marked} marked", style(EMBER, bold=True)),
            (f" ({hidden} hidden by the filter)   ctrl-\\ clears", FADED),
        ]

    # -- commands -------------------------------------------------------------------------------------------------------

    def targets(self) -> list[JobRow]:
        if self._grid.marks:
            return [row for row in self._loaded.values() if row.id in self._grid.marks]
        row = self.row_under_cursor()
        return [row] if row else []

    def unavailable(self, command: str) -> str:
        if command == "pause":
            return "" if self.pause_queue() else "there is no job under the cursor"
        if command in ("retry", "cancel", "delete", "open", "raw", "copy", "describe") and not self.targets():
            return "there is no job under the cursor"
        return _wrong_status(command, self.showing.status)

    def pause_queue(self) -> str | None:
        targets = self.targets()
        return self.showing.queue or (targets[0].queue if targets else None)

    def go_back(self) -> bool:
        if self.words:
            self.words = ""
        elif self.showing.search:
            self.look_at(self.showing._replace(search=""))
        elif self._grid.marks:
            self._grid.clear_marks()
        else:
            return False
        self.draw()
        return True

    def do(self, command: str) -> bool:
        match command:
            case "status.next" | "status.previous":
                step = 1 if command == "status.next" else -1
                at = (STATUSES.index(self.showing.status) + step) % len(STATUSES)
                self._sort = None
                self.look_at(Showing(STATUSES[at], self.showing.queue))
            case "sort":
                names = ["kind", "queue", "priority", "retries", "when"]
                at = names.index(self._sort[0]) + 1 if self._sort else 0
                self._sort = (names[at], False) if at < len(names) else None
            case "sort.reverse":
                self._sort = (self._sort[0], not self._sort[1]) if self._sort else ("when", True)
            case "wide":
                self._wide = not self._wide
                self._grid.set_columns(columns_of(self.showing.status, self._wide))
            case _:
                return self.do_marks(command)
        self.draw()
        return True

    def row_under_cursor(self) -> JobRow | None:
        return self._loaded.get(self._grid.cursor_id or "")

    def neighbour(self, by: int) -> JobRow | None:
        """Moves the cursor; the row it came to."""
        self._grid.move(by)
        return self.row_under_cursor()


def _wrong_status(command: str, status: str) -> str:
    if command == "retry" and status not in ("dead", "cancelled", "retrying", "scheduled"):
        return f"a {status} job cannot be retried"
    if command == "cancel" and status in ("dead", "completed", "cancelled"):
        return f"a {status} job has ended"
    if command == "delete" and status == "running":
        return "a running job cannot be deleted; C cancels it"
    return ""


def _sort_key(row: JobRow, name: str) -> Any:
    if name == "retries":
        return row.retry_count
    if name == "when":
        return row.finished_s or row.run_at_s or row.started_s or row.created_s or 0.0
    if name == "priority":
        return list(PRIORITY_COLOUR).index(row.priority) if row.priority in PRIORITY_COLOUR else 9
    return getattr(row, name)


def _progress(row: JobRow) -> Cell:
    if row.fraction is None:
        return "-", style(DIM)
    return f"{words.bar(row.fraction, 10)} {row.fraction:>4.0%}", style(GOLD)


def _payload(row: JobRow) -> str:
    import json

    from ironforge.safe_text import safe_text

    return safe_text(json.dumps(row.raw.get("payload"), ensure_ascii=False, default=str), 120)
