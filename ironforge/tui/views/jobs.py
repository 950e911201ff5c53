"""2 Jobs: one queue or all, one status at a time, page by page; with room, the job under the cursor beside them."""

from __future__ import annotations

from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from ironforge.tui import words
from ironforge.tui.job_list import JobList, matches, server_search
from ironforge.tui.job_text import error_lines, head_line, payload_lines
from ironforge.tui.models import JobRow, job_row
from ironforge.tui.theme import EMBER, FADED, INK, RED, STATUS_COLOUR, STATUS_GLYPH, STATUSES, style
from ironforge.tui.views.job_columns import columns_of, draw_row
from ironforge.tui.views.view import Fetching, View
from ironforge.tui.widgets.grid import Grid, Row
from ironforge.tui.widgets.lines import Line, Lines, Pane

PAGE = 200
MOST_PAGES = 10
PREVIEW_LINES = 12
_EMPTY = {
    "dead": "Jobs out of retries appear here, with their error; R retries them",
    "scheduled": "Jobs with a delay wait here until they are due",
    "retrying": "Failed jobs wait here for their next attempt",
    "running": "What workers run right now appears here; l looks at other statuses",
    "queued": "Jobs that could run now wait here; N submits one",
    "completed": "Jobs that ended well are kept here for a while",
    "cancelled": "Jobs that somebody cancelled are kept here for a while",
}


class Showing(NamedTuple):
    """Which jobs are shown. `group`: a fingerprint of dead ones; `search`, `kind`: asked of the server."""

    status: str = "running"
    queue: str | None = None
    group: str | None = None
    search: str = ""
    kind: str = ""


class Jobs(View):
    key = "jobs"

    def __init__(self) -> None:
        super().__init__(id="jobs")
        self.showing = Showing()
        self.list = JobList()
        self._crumb = Lines(id="crumb")
        self._grid = Grid(columns_of("running", wide=False), id="joblist", empty=("loading …",))
        self._grid.add_class("panel")
        self._head = Lines(id="preview-head")
        self._payload = Pane(id="preview-payload", classes="panel")
        self._error = Pane(id="preview-error", classes="panel")
        self._previewed: JobRow | None = None
        self._pages = 1
        self._wide = False
        self._fetching = Fetching()

    def compose(self) -> ComposeResult:
        yield self._crumb
        with Container(id="jobs-body"):
            yield self._grid
            with Vertical(id="preview"):
                yield self._head
                with Container(id="preview-panes"):
                    yield self._payload
                    yield self._error

    def on_mount(self) -> None:
        self._payload.border_title, self._error.border_title = "payload", "error"

    def main(self) -> Grid:
        return self._grid

    def grid(self) -> Grid:
        return self._grid

    # -- what is shown ------------------------------------------------------------------------------------------------

    def look_at(self, showing: Showing) -> None:
        """Shows other jobs."""
        if showing != self.showing:
            other = showing.status != self.showing.status
            self.showing, self._pages = showing, 1
            sought = self.list.words
            self.list = JobList(words=sought, sort=None if other else self.list.sort)
            self._grid.clear_marks()
            self._grid.set_columns(columns_of(showing.status, wide=self._wide))
            self._grid.empty_words = ["loading …"]
        self._fetching = Fetching()
        self.draw()

    def entered(self) -> None:
        self._fetching.stale = True

    def hint(self, queues: set[str]) -> None:
        if "*" in queues or self.showing.queue is None or self.showing.queue in queues:
            self._fetching.stale = True

    def draw(self) -> None:
        self._grid.dimmed = self._payload.dimmed = self._error.dimmed = self.store.dimmed
        self._fetching.begin(self, self._fetch)
        if self._fetching.failed and not self.list.loaded:
            self._grid.empty_words = [self._fetching.failed, "it is asked again; r at once"]
        sort = self.list.sort
        self._grid.sorted_by = sort or ("", False)
        self._grid.show_ids(self.list.shown(), self._row)
        self._crumb.show([self._crumb_line(), self._count_line()])
        self._draw_preview()

    async def _fetch(self) -> None:
        """The pages seen so far anew: rows are kept by id, so nothing jumps."""
        showing, fetching = self.showing, self._fetching
        rows: list[JobRow] = []
        cursor: str | None = None
        total: int | None = None
        for _ in range(self._pages):
            page = await self.console.api.jobs(
                cursor,
                PAGE,
                status=showing.status,
                queue=showing.queue,
                error=showing.group,
                q=showing.search,
                kind=showing.kind,
            )
            rows += map(job_row, page["jobs"])
            cursor, total = page.get("next_cursor"), page.get("total")
            if cursor is None or (len(rows) >= PAGE * self._pages):
                break
        if fetching is self._fetching:
            difference = self.list.replace(rows, cursor, total, self._grid.marks)
            self._grid.empty_words = self._empty()
            self.console.arrived(difference)
            if self.console.view is self and not self.console.frozen:
                self.draw()

    def on_grid_near_end(self) -> None:
        if self.list.cursor is not None and not self._fetching.open and self._pages < MOST_PAGES:
            self._pages += 1
            self._fetching.stale = True

    def on_grid_head_clicked(self, event: Grid.HeadClicked) -> None:
        before = self.list.sort
        self.list.sort_by((event.column, not before[1] if before and before[0] == event.column else False))
        self.draw()

    def _row(self, job_id: str) -> Row:
        row, pending = self.list.loaded[job_id], self.console.pending.get(job_id, "")
        return draw_row(row, self.store, self.console.time_mode, pending)

    # -- lines around -------------------------------------------------------------------------------------------------

    def _crumb_line(self) -> Line:
        where = self.showing.queue or "all queues"
        tight = self.size.width < 100
        parts: Line = [(where, style(EMBER, bold=True)), (" › " if tight else " › jobs  ", FADED)]
        if self.showing.group:
            return [*parts, (f"✗ dead › group {self.showing.group}", style(RED, bold=True))]
        counts = self._counts()
        room = self.size.width - 2 - sum(len(text) for text, _ in parts)
        full = sum(len(status) + len(words.count(counts[status])) + 5 for status in STATUSES) <= room
        for status in STATUSES:
            here = status == self.showing.status
            name = f"{status} " if full or here else ""
            label = f"{STATUS_GLYPH[status]} {name}{words.count(counts[status])}"
            look = style(STATUS_COLOUR[status], bold=True) if here else FADED
            parts.append((f"[{label}]" if here else f" {label} ", look))
        return parts

    def _counts(self) -> dict[str, int]:
        queues = [queue for queue in self.store.queues if self.showing.queue in (None, queue.name)]
        return {status: sum(queue.count(status) for queue in queues) for status in STATUSES}

    def _count_line(self) -> Line:
        jobs = self.list
        shown, loaded = len(jobs.shown()), len(jobs.loaded)
        of = f" of {words.count(jobs.total)}" if jobs.total is not None else ""
        left: Line = []
        if self.showing.search or self.showing.kind:
            asked = " ".join(
                filter(None, (f"kind:{self.showing.kind}" if self.showing.kind else "", self.showing.search))
            )
            left += [("searched ", FADED), (asked, style(INK)), ("   ", FADED)]
        if jobs.words:
            left += [("/ ", style(EMBER, bold=True)), (jobs.words, style(INK)), ("   ", FADED)]
            more = (
                f"; enter searches all{of.removeprefix(' of')}" if jobs.cursor and self._searchable() else ""
            )
            return [*left, (f"{shown} of {loaded} loaded{more}", FADED)]
        more = ", more below" if jobs.cursor else ""
        order = f"   sorted by {jobs.sort[0]} {'▼' if jobs.sort[1] else '▲'}" if jobs.sort else ""
        return [*left, (f"{loaded:,}{of} loaded{more}{order}", FADED)]

    def _empty(self) -> list[str]:
        if self.list.words or self.showing.search or self.showing.kind:
            return ["Nothing matches", "esc clears the filter"]
        where = f" in {self.showing.queue}" if self.showing.queue else ""
        return [f"No {self.showing.status} jobs{where}", _EMPTY.get(self.showing.status, "")]

    def foot(self) -> Line:
        marked = len(self._grid.marks)
        if not marked:
            return []
        hidden, unlisted = self.list.hidden(self._grid.marks)
        more = f"   {unlisted} not in the list any more" if unlisted else ""
        return [
            (f"{marked} marked", style(EMBER, bold=True)),
            (f" ({hidden} hidden by the filter){more}   ctrl-\\ clears", FADED),
        ]

    def _draw_preview(self) -> None:
        row = self.list.loaded.get(self._grid.cursor_id or "")
        preview = self.query_one("#preview")
        # Beside the list where there is width; below it while the list is short enough to leave room.
        room = self.query_one("#jobs-body").size.height - len(self._grid.ids) - 2
        preview.set_class(row is None or not (self.is_wide or room >= PREVIEW_LINES), "-absent")
        if not preview.display or row == self._previewed:
            return
        keep = row is not None and self._previewed is not None and row.id == self._previewed.id
        self._previewed = row
        self._head.show([[(row.id, style(EMBER))], head_line(row)] if row else [])
        self._payload.show(payload_lines(row) if row else [], keep_place=keep)
        self._error.show(error_lines(row, folded=True, width=76) if row else [], keep_place=keep)

    # -- commands -----------------------------------------------------------------------------------------------------

    @property
    def current(self) -> JobRow | None:
        return self.list.loaded.get(self._grid.cursor_id or "")

    def targets(self) -> list[JobRow]:
        return self.list.targets(self._grid.marks, self._grid.cursor_id)

    def unavailable(self, command: str) -> str:
        if command == "pause":
            return "" if self.pause_queue() else "there is no job under the cursor"
        targets = self.targets()
        if command in ("retry", "cancel", "delete", "open", "raw", "copy", "describe") and not targets:
            return "there is no job under the cursor"
        reasons = [wrong_status(command, row.status) for row in targets]
        return reasons[0] if reasons and all(reasons) else ""

    def pause_queue(self) -> str | None:
        return self.showing.queue or (self.current.queue if self.current else None)

    def find(self, words: str) -> None:
        self.sought = words
        self.list.find(words)
        self._grid.empty_words = self._empty()
        self.draw()

    def _searchable(self) -> bool:
        search, kind = server_search(self.list.words)
        return bool(search or kind) and (search, kind) != (self.showing.search, self.showing.kind)

    def search_all(self) -> None:
        """The filter, asked of the server too when not everything is loaded."""
        if self.list.cursor is not None and self._searchable():
            search, kind = server_search(self.list.words)
            self.look_at(self.showing._replace(search=search, kind=kind))

    def go_back(self) -> bool:
        if self.list.words:
            self.find("")
        elif self.showing.search or self.showing.kind:
            self.look_at(self.showing._replace(search="", kind=""))
        elif self._grid.marks:
            self._grid.clear_marks()
        else:
            return False
        return True

    def row_fits(self, row_id: str, words: str) -> bool:
        return matches(self.list.loaded[row_id], words)

    def do(self, command: str) -> bool:
        match command:
            case "status.next" | "status.previous":
                step = 1 if command == "status.next" else -1
                at = (STATUSES.index(self.showing.status) + step) % len(STATUSES)
                self.look_at(Showing(STATUSES[at], self.showing.queue))
            case "sort":
                self.list.sort_next()
            case "sort.reverse":
                sort = self.list.sort
                self.list.sort_by((sort[0], not sort[1]) if sort else ("when", True))
            case "wide":
                self._wide = not self._wide
                self._grid.set_columns(columns_of(self.showing.status, wide=self._wide))
            case _:
                return self.do_marks(command)
        self.draw()
        return True

    def neighbour(self, by: int) -> JobRow | None:
        """Moves the cursor; the row it came to."""
        self._grid.move(by)
        return self.current


def wrong_status(command: str, status: str) -> str:
    """Why a job of this status cannot be changed so; empty when it can."""
    if command == "retry" and status not in ("dead", "cancelled", "retrying", "scheduled"):
        return f"a {status} job cannot be retried"
    if command == "cancel" and status in ("dead", "completed", "cancelled"):
        return f"a {status} job has ended"
    if command == "delete" and status == "running":
        return "a running job cannot be deleted; C cancels it"
    return ""
