"""3 Dead: jobs out of retries, by the error they died of."""

from __future__ import annotations

import time
from typing import Any

from textual.app import ComposeResult

from ironforge.tui import words
from ironforge.tui.store import JobRow, clean
from ironforge.tui.theme import DIM, EMBER, FADED, INK, RED, style
from ironforge.tui.views.view import View
from ironforge.tui.widgets.grid import Column, Grid, Row
from ironforge.tui.widgets.lines import Line, Lines

COLUMNS = (
    Column("count", "JOBS", 6, right=True, keep=100),
    Column("share", "SHARE", 10, keep=40),
    Column("last", "LAST", 9, right=True, keep=95),
    Column("kind", "KIND", 16, keep=98, grows=True),
    Column("error", "ERROR", 30, keep=97, grows=True),
    Column("where", "WHERE", 26, keep=50),
    Column("queue", "QUEUE", 10, keep=45),
    Column("group", "GROUP", 12, keep=70),
)
REFETCH_S = 1.0


class Dead(View):
    key = "dead"
    DEFAULT_CSS = """
    Dead #dead-crumb { height: 1; padding: 0 1; }
    Dead #card { height: 7; border: round $border; border-title-color: $error; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="dead")
        self._crumb = Lines(id="dead-crumb")
        self._grid = Grid(
            COLUMNS,
            id="groups",
            empty=("Nothing is dead", "Jobs out of retries gather here by their error; R retries them"),
        )
        self._card = Lines(id="card")
        self._groups: dict[str, dict[str, Any]] = {}
        self._stale, self._fetched_at, self._loading = True, 0.0, False

    def compose(self) -> ComposeResult:
        yield self._crumb
        yield self._grid
        yield self._card

    def main(self) -> Grid:
        return self._grid

    @property
    def group(self) -> dict[str, Any] | None:
        return self._groups.get(self._grid.cursor_id or "")

    def marked_groups(self) -> list[dict[str, Any]]:
        """The marked groups, else the one under the cursor."""
        if self._grid.marks:
            return [group for fp, group in self._groups.items() if fp in self._grid.marks]
        return [self.group] if self.group else []

    def entered(self) -> None:
        self._stale = True
        self.store.look_at_dead()

    def hint(self, queues: set[str]) -> None:
        self._stale = True

    def draw(self) -> None:
        self.store.look_at_dead()
        self._grid.dimmed = self._card.dimmed = self.store.link in ("offline", "denied")
        due = time.monotonic() - self._fetched_at >= REFETCH_S
        if self._stale and due and not self._loading and self.store.link in ("live", "lag", "poll"):
            self._stale, self._loading, self._fetched_at = False, True, time.monotonic()
            self.console.load(self._fetch(), self._failed)
        now_s = self.store.server_now_s
        most = max((int(group["count"]) for group in self._groups.values()), default=1)
        self._grid.show([self._row(group, most, now_s) for group in self._groups.values()])
        total = sum(int(group["count"]) for group in self._groups.values())
        self._crumb.show(
            [
                [
                    ("dead", style(RED, bold=True)),
                    (f" › groups   {total:,} jobs in {len(self._groups)} groups", FADED),
                ]
            ]
        )
        self._draw_card(now_s)

    async def _fetch(self) -> None:
        groups = clean(await self.console.api.groups())
        self._loading = False
        self._groups = {str(group["fingerprint"]): group for group in groups}
        self.draw()

    def _failed(self, words_: str) -> None:
        self._loading = False
        self._grid.empty_words = [words_, "r tries again"]

    def _row(self, group: dict[str, Any], most: int, now_s: float) -> Row:
        count = int(group["count"])
        return Row(
            str(group["fingerprint"]),
            {
                "count": (words.count(count), style(RED, bold=True)),
                "share": (words.bar(count / most, 10), style(RED)),
                "last": (
                    words.clock(words.epoch_s(group.get("last_at")), self.console.time_mode, now_s),
                    style(INK),
                ),
                "kind": (str(group.get("kind", "")), style(INK, bold=True)),
                "error": (f"{group.get('error_type')}: {group.get('error_message')}", style(INK)),
                "where": (words.place(str(group.get("where") or "-")), FADED),
                "queue": (str(group.get("queue") or "-"), FADED),
                "group": (str(group["fingerprint"]), style(DIM)),
            },
        )

    def _draw_card(self, now_s: float) -> None:
        group = self.group
        self._card.display = group is not None
        if group is None:
            return
        self._card.border_title = f"{group['fingerprint']}  {str(group.get('error_type')).replace('[', '(')}"
        first, last = (words.epoch_s(group.get(name)) for name in ("first_at", "last_at"))
        mode = self.console.time_mode
        self._card.show(
            [
                [("jobs    ", FADED), (f"{group['count']:,}", style(RED, bold=True)), (f" of {group.get('kind')} in {group.get('queue')}", style(INK))],
                [("seen    ", FADED), (f"first {words.clock(first, mode, now_s)}   last {words.clock(last, mode, now_s)}", style(INK))],
                [("error   ", FADED), (str(group.get("error_message")), style(RED))],
                [("where   ", FADED), (str(group.get("where") or "in a library"), style(INK))],
                [("R", style(EMBER, bold=True)), (f" retries {min(200, int(group['count']))} jobs (asks first)   ", FADED), ("enter", style(EMBER, bold=True)), (" shows them", FADED)],
            ]
        )  # fmt: skip

    def foot(self) -> Line:
        marked = len(self._grid.marks)
        return [(f"{marked} groups marked", style(EMBER, bold=True))] if marked else []

    def unavailable(self, command: str) -> str:
        if command in ("retry", "delete", "open", "copy", "raw", "describe") and not self.marked_groups():
            return "nothing is dead"
        return ""

    def targets(self) -> list[JobRow]:
        return []

    def go_back(self) -> bool:
        if self._grid.marks:
            self._grid.clear_marks()
            return True
        return False

    def do(self, command: str) -> bool:
        return self.do_marks(command)
