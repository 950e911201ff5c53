"""One job: payload, error, attempts, timeline, raw."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult

from ironforge.tui.job_text import attempt_lines, error_lines, head_line, payload_lines, timeline_lines
from ironforge.tui.json_lines import JsonLines
from ironforge.tui.models import JobRow, job_row
from ironforge.tui.theme import EMBER, FADED, FAINT, HEAD, INK, RED, style
from ironforge.tui.views.jobs import wrong_status
from ironforge.tui.views.view import Fetching, View
from ironforge.tui.widgets.lines import Line, Lines, Pane

TABS = ("payload", "error", "attempts", "timeline", "raw")


class JobView(View):
    key = "job"

    def __init__(self) -> None:
        super().__init__(id="job")
        self._head = Lines(id="job-head")
        self._pane = Pane(id="job-pane", classes="panel")
        self.row: JobRow | None = None
        self._gone = ""
        self._tab = "payload"
        self._folded = True
        self._fetching = Fetching()
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._pane

    def main(self) -> Pane:
        return self._pane

    def look_at(self, row: JobRow, tab: str = "") -> None:
        self.row, self._gone, self._drawn = row, "", ()
        self._fetching = Fetching()
        self._tab = tab or ("error" if row.error and row.status in ("dead", "retrying") else "payload")
        self.draw()

    def hint(self, queues: set[str]) -> None:
        if "*" in queues or (self.row and self.row.queue in queues):
            self._fetching.stale = True

    def draw(self) -> None:
        if self.row is not None:
            self._fetching.begin(self, self._fetch)
            self._gone = self._fetching.failed
        self._pane.dimmed = self.store.dimmed
        self._head.show(self._head_lines())
        state = (self.row, self._tab, self._folded, self.console.time_mode, self.size.width)
        if self.row and (not self._drawn or state != self._drawn):
            before = self._drawn
            same = bool(before) and isinstance(before[0], JobRow) and before[0].id == self.row.id
            self._drawn = state
            self._pane.show(self._content(self.row), keep_place=same and before[1] == self._tab)

    async def _fetch(self) -> None:
        wanted = self.row.id if self.row else ""
        row = job_row(await self.console.api.job(wanted))
        if self.row and self.row.id == wanted and row != self.row:
            self.row = row

    def _head_lines(self) -> list[Line]:
        row = self.row
        if row is None:
            return [[("no job", FADED)]]
        tabs: Line = []
        for tab in TABS:
            here = tab == self._tab
            tabs += [
                (f" {tab.capitalize()} ", style(EMBER, bold=True, underline=True) if here else FADED),
                ("  ", FADED),
            ]
        asked = self.console.pending.get(row.id, "")
        return [
            [
                (f"{row.queue} › {row.status} › ", FADED),
                (row.id, style(EMBER, bold=True)),
                (f"   {asked}" if asked else "", style(INK, bold=True)),
                (f"   {self._gone}" if self._gone else "", style(RED)),
            ],
            head_line(row),
            tabs,
            [("─" * max(0, self.size.width - 2), style(FAINT))],
        ]

    def _content(self, row: JobRow) -> Sequence[Line]:
        match self._tab:
            case "error":
                return self._error(row)
            case "attempts":
                return attempt_lines(row, self.console.time_mode)
            case "timeline":
                return timeline_lines(row, self.console.time_mode)
            case "raw":
                return JsonLines(row.raw)
            case _:
                return payload_lines(row)

    def _error(self, row: JobRow) -> list[Line]:
        """All that tells why it failed, on one page."""
        lines = error_lines(row, folded=self._folded, width=self.size.width - 4)
        if row.raw.get("attempts"):
            lines += [[], [], *attempt_lines(row, self.console.time_mode)]
        return [*lines, [], [], [("PAYLOAD", HEAD)], *payload_lines(row)[:200]]

    def find(self, words: str) -> None:
        """Goes to the first line with these words."""
        self.sought = words
        if words:
            self._pane.find(words)

    def unavailable(self, command: str) -> str:
        return wrong_status(command, self.row.status) if self.row else "there is no job"

    def targets(self) -> list[JobRow]:
        return [self.row] if self.row else []

    def go_back(self) -> bool:
        self.sought = ""
        return False

    def do(self, command: str) -> bool:
        match command:
            case "status.next" | "status.previous" | "pane":
                step = -1 if command == "status.previous" else 1
                self._tab = TABS[(TABS.index(self._tab) + step) % len(TABS)]
            case "raw":
                self._tab = "raw"
            case "describe":
                self._tab = "payload"
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
