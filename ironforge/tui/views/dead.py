"""3 Dead: jobs out of retries, by the error they died of; with room, the jobs of a group and one of them beside it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical

from ironforge.tui import words
from ironforge.tui.doc import Doc
from ironforge.tui.job_list import JobList
from ironforge.tui.job_text import payload_lines, traceback_lines
from ironforge.tui.models import Group, JobRow, group_of, job_row
from ironforge.tui.theme import DIM, EMBER, FADED, INK, RED, style
from ironforge.tui.views.job_columns import columns_of, draw_row
from ironforge.tui.views.jobs import wrong_status
from ironforge.tui.views.view import Fetching, View
from ironforge.tui.widgets.grid import Column, Grid, Row
from ironforge.tui.widgets.lines import Box, Line, Lines, Pane

COLUMNS = (
    Column("count", "JOBS", 5, right=True, keep=100),
    Column("share", "SHARE", 8, keep=40),
    Column("last", "LAST", 9, right=True, keep=95, calm=True),
    Column("kind", "KIND", 16, keep=98, grows=1, most=28),
    Column("error", "ERROR", 26, keep=97, grows=3),
    Column("where", "WHERE", 26, keep=30),
    Column("queue", "QUEUE", 9, keep=45),
    Column("group", "GROUP", 12, keep=70),
)
PAGE = 200


class Dead(View):
    key = "dead"

    def __init__(self) -> None:
        super().__init__(id="dead")
        empty = ("Nothing is dead", "A job lands here after its last attempt, by its error; R retries it")
        self._crumb = Lines(id="dead-crumb")
        self._grid = Grid(COLUMNS, id="groups", empty=empty)
        self._grid.add_class("panel")
        self._card = Box(id="card")
        self._jobs = Grid(columns_of("dead", wide=False), id="group-jobs", empty=("loading …",))
        self._jobs.add_class("panel")
        self._payload = Pane(id="dead-payload", classes="panel")
        self._trace = Pane(id="dead-trace", classes="panel")
        self._groups: dict[str, Group] = {}
        self._list = JobList()
        self._list_of: str = ""
        self._folded = True
        self._shown: tuple[JobRow | None, bool] = (None, True)
        self._fetching, self._fetching_jobs = Fetching(1.0), Fetching(1.0)

    def compose(self) -> ComposeResult:
        yield self._crumb
        with Container(id="dead-body"):
            with Vertical(id="dead-left"):
                yield self._grid
                yield self._card
            with Vertical(id="dead-right"):
                yield self._jobs
                with Horizontal(id="dead-detail"):
                    yield self._payload
                    yield self._trace

    def on_mount(self) -> None:
        self._payload.border_title, self._trace.border_title = "payload", "traceback"

    def main(self) -> Grid:
        return self._grid

    @property
    def group(self) -> Group | None:
        return self._groups.get(self._grid.cursor_id or "")

    @property
    def on_jobs(self) -> bool:
        """Whether the jobs of the group have the focus, and not the groups."""
        return self.app.focused is self._jobs

    def marked_groups(self) -> list[Group]:
        """The marked groups, else the one under the cursor."""
        if self._grid.marks:
            return [group for name, group in self._groups.items() if name in self._grid.marks]
        return [self.group] if self.group else []

    @property
    def job(self) -> JobRow | None:
        """The one shown in full."""
        rows = self._list.loaded
        return rows.get(self._jobs.cursor_id or "") or next(iter(rows.values()), None)

    def entered(self) -> None:
        self._fetching.stale = self._fetching_jobs.stale = True

    def hint(self, queues: set[str]) -> None:
        self._fetching.stale = self._fetching_jobs.stale = True

    # -- drawing ------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        self.store.look_at_dead()
        for part in (self._grid, self._card, self._jobs, self._payload, self._trace):
            part.dimmed = self.store.dimmed
        self._fetching.begin(self, self._fetch)
        if self._fetching.failed and not self._groups:
            self._grid.empty_words = [self._fetching.failed, "it is asked again; r at once"]
        most = max((group.count for group in self._groups.values()), default=1)
        rows = [self._row(group, most) for group in self._groups.values()]
        self._grid.show(self.filtered(rows))
        total = sum(group.count for group in self._groups.values())
        many = (
            f"{total:,} job{'s' * (total != 1)} in {len(self._groups)} group{'s' * (len(self._groups) != 1)}"
        )
        self._crumb.show([[("dead", style(RED, bold=True)), (f" › groups   {many}   by error", FADED)]])
        self._draw_card()
        self._draw_jobs()

    async def _fetch(self) -> None:
        self._groups = {group.fingerprint: group for group in map(group_of, await self.console.api.groups())}

    def _row(self, group: Group, most: int) -> Row:
        mode, now_s = self.console.time_mode, self.store.server_now_s
        return Row(
            group.fingerprint,
            {
                "count": (words.count(group.count), style(RED, bold=True)),
                "share": (words.bar(group.count / most if most else 0, 8), style(RED)),
                "last": (words.clock(group.last_s, mode, now_s), style(INK)),
                "kind": (group.kind, style(INK, bold=True)),
                "error": (f"{group.error_type}: {group.error_message}", style(INK)),
                "where": (words.place(group.where) or "-", FADED),
                "queue": (group.queue or "-", FADED),
                "group": (group.fingerprint, style(DIM)),
            },
        )

    def _draw_card(self) -> None:
        group = self.group
        self._card.set_class(group is None, "-absent")
        if group is None:
            return
        mode, now_s = self.console.time_mode, self.store.server_now_s
        first, last = words.clock(group.first_s, mode, now_s), words.clock(group.last_s, mode, now_s)
        title: Line = [
            (group.fingerprint, style(RED, bold=True)),
            (f"  {group.error_type}", style(INK, bold=True)),
        ]
        most = min(PAGE, group.count)
        self._card.fill(
            title,
            [
                [("jobs    ", FADED), (f"{group.count:,}", style(RED, bold=True)), (f" of {group.kind}, queue {group.queue}", style(INK))],
                [("seen    ", FADED), (f"first {first}   last {last}", style(INK))],
                [("error   ", FADED), (group.error_message, style(RED))],
                [("where   ", FADED), (words.place(group.where) or "in a library", style(INK))],
                [("R", style(EMBER, bold=True)), (f" retries {'it' if most == 1 else f'{most} jobs'} (asks first)   ", FADED), ("enter", style(EMBER, bold=True)), (" shows the jobs", FADED)],
            ],
        )  # fmt: skip

    def _draw_jobs(self) -> None:
        if not self.query_one("#dead-right").display or self.size.height < 20:
            return
        wanted = self.group.fingerprint if self.group else ""
        if wanted != self._list_of:
            self._list_of, self._list, self._fetching_jobs = wanted, JobList(), Fetching(1.0)
            self._jobs.clear_marks()
        if wanted:
            self._fetching_jobs.begin(self, self._fetch_jobs)
        self._jobs.show_ids(self._list.shown(), self._job_row)
        shown = (self.job, self._folded)
        if shown != self._shown:
            keep = bool(shown[0] and self._shown[0] and shown[0].id == self._shown[0].id)
            self._shown = shown
            trace = Doc(self.job.raw if self.job else None).doc("last_error").raw.get("traceback")
            self._payload.show(payload_lines(self.job) if self.job else [], keep_place=keep)
            width = max(40, self._trace.size.width)
            self._trace.show(
                traceback_lines(str(trace or ""), folded=self._folded, width=width), keep_place=keep
            )

    async def _fetch_jobs(self) -> None:
        wanted = self._list_of
        page = await self.console.api.jobs(None, PAGE if self.is_wide else 1, status="dead", error=wanted)
        if wanted == self._list_of:
            rows = map(job_row, page["jobs"])
            self._list.replace(rows, page.get("next_cursor"), page.get("total"), self._jobs.marks)

    def _job_row(self, job_id: str) -> Row:
        pending = self.console.pending.get(job_id, "")
        return draw_row(self._list.loaded[job_id], self.store, self.console.time_mode, pending)

    def foot(self) -> Line:
        if marked := len(self._jobs.marks):
            return [
                (f"{marked} jobs marked", style(EMBER, bold=True)),
                (" in this group   ctrl-\\ clears", FADED),
            ]
        if marked := len(self._grid.marks):
            return [(f"{marked} groups marked", style(EMBER, bold=True)), ("   ctrl-\\ clears", FADED)]
        return self.filter_words()

    # -- commands -----------------------------------------------------------------------------------------------------

    def targets(self) -> list[JobRow]:
        """Jobs, when they have the focus; an action on groups finds theirs itself."""
        return self._list.targets(self._jobs.marks, self._jobs.cursor_id) if self.on_jobs else []

    def unavailable(self, command: str) -> str:
        if self.on_jobs:
            targets = self.targets()
            if command in ("retry", "delete", "open", "copy", "raw", "describe") and not targets:
                return "there is no job under the cursor"
            return wrong_status(command, targets[0].status) if targets else ""
        needs = ("retry", "delete", "open", "copy", "raw", "describe", "mark")
        return "nothing is dead" if command in needs and not self.marked_groups() else ""

    def row_fits(self, row_id: str, words: str) -> bool:
        group = self._groups.get(row_id)
        return (
            group is not None
            and words.lower() in f"{group.kind} {group.error_type} {group.error_message}".lower()
        )

    def go_back(self) -> bool:
        if self.on_jobs and not self._jobs.marks:
            self._grid.focus()
            return True
        return super().go_back()

    def do(self, command: str) -> bool:
        if command == "fold":
            self._folded = not self._folded
            self.draw()
            return True
        return self.do_marks(command)

    def focus_jobs(self) -> bool:
        """Goes to the jobs of the group, when they are shown here."""
        if self._jobs in self.panes() and self._jobs.ids:
            self._jobs.focus()
            return True
        return False
