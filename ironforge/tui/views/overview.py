"""1 Overview: throughput and wait, every queue, what needs a person; with room, also what runs and what died."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Horizontal

from ironforge.tui import words
from ironforge.tui.models import Finding, Group, JobRow, Queue, Worker, group_of, job_row, worker_of
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
    VIOLET,
    Look,
    style,
)
from ironforge.tui.views.view import Fetching, View
from ironforge.tui.widgets.chart import Chart
from ironforge.tui.widgets.grid import Column, Grid, Row, Spark
from ironforge.tui.widgets.lines import Box, Line, Lines, squeezed

COLUMNS = (
    Column("name", "QUEUE", 12, keep=100, grows=3, most=28),
    Column("queued", "QUEUED", 7, right=True, keep=99),
    Column("running", "RUN", 5, right=True, keep=98),
    Column("scheduled", "SCHED", 6, right=True, keep=92),
    Column("retrying", "RETRY", 5, right=True, keep=93),
    Column("dead", "DEAD", 5, right=True, keep=97),
    Column("oldest", "OLDEST", 6, right=True, keep=96, calm=True),
    Column("out", "/S", 5, right=True, keep=91, calm=True),
    Column("eta", "ETA", 6, right=True, keep=80, calm=True),
    Column("in", "IN/S", 5, right=True, keep=60, calm=True),
    Column("failed", "FAIL/S", 6, right=True, keep=55, calm=True),
    Column("workers", "WORKERS", 7, right=True, keep=50),
    Column("completed", "KEPT", 7, right=True, keep=45, calm=True),
    Column("spark", "5 MIN", 9, keep=90, grows=2, most=36),
)
_HINTS = {
    "paused": "P resume",
    "dead_grew": "3 triage",
    "worker_lost": "4 workers",
    "worker_blocked": "4 workers",
    "backlog": "4 workers",
    "no_worker": "start one",
    "durability": "appendonly yes",
}


class Overview(View):
    key = "overview"

    def __init__(self) -> None:
        super().__init__(id="overview")
        self._throughput = Chart(style(EMBER), style(RED), id="throughput")
        self._wait = Chart(style(CYAN), style(VIOLET), id="wait")
        self._failures = Chart(style(RED), id="failures")
        empty = ("No queue yet", "N submits the first job")
        self._grid = Grid(COLUMNS, id="queues", empty=empty)
        self._grid.add_class("panel")
        self._attention = Lines(id="attention", classes="panel")
        self._running_box, self._dead_box = Box(id="now-running"), Box(id="dead-groups")
        self._workers_box = Box(id="now-workers")
        self._fetching = Fetching(1.0)
        self._longest: list[JobRow] = []
        self._groups: list[Group] = []
        self._workers: list[Worker] = []

    def compose(self) -> ComposeResult:
        with Horizontal(id="charts"):
            yield self._throughput
            yield self._wait
            yield self._failures
        with Container(id="middle"):
            yield self._grid
            with Container(id="panels"):
                yield self._running_box
                yield self._dead_box
                yield self._workers_box
            yield self._attention

    def main(self) -> Grid:
        return self._grid

    @property
    def queue_name(self) -> str | None:
        return self._grid.cursor_id

    def entered(self) -> None:
        self._fetching.stale = True

    def hint(self, queues: set[str]) -> None:
        self._fetching.stale = True

    def draw(self) -> None:
        parts = (self._throughput, self._wait, self._failures, self._attention, self._grid)
        for part in (*parts, self._running_box, self._dead_box, self._workers_box):
            part.dimmed = self.store.dimmed
        if not self.store.known:
            self._grid.empty_words = [
                f"{self.store.link_words} …",
                "queues, rates and what needs you appear here",
            ]
            self._grid.refresh()
        self._draw_charts()
        self._grid.show(self.filtered([_row(queue) for queue in self.store.queues]))
        self._draw_attention()
        self._make_room()
        if self._running_box.size.height:
            self._fetching.begin(self, self._fetch)
            self._draw_boxes()

    def _make_room(self) -> None:
        """Queues come first: the boxes below them get what is left."""
        panels, middle = self.query_one("#panels"), self.query_one("#middle")
        if self.is_wide:
            panels.styles.height = None
            panels.set_class(False, "-absent")
            return
        wanted = max(4, len(self.store.queues)) + 2  # the head, and a line of air
        left = (
            middle.size.height
            - wanted
            - int(self._attention.styles.height.value if self._attention.styles.height else 2)
        )
        panels.set_class(left < 5, "-absent")
        panels.styles.height = max(5, min(14, left))

    async def _fetch(self) -> None:
        api = self.console.api
        page = await api.jobs(None, 12, status="running")
        self._longest = [job_row(job) for job in page["jobs"]]
        self._groups = [group_of(group) for group in await api.groups(12)]
        self._workers = [worker_of(worker) for worker in await api.workers()]

    def foot(self) -> Line:
        hello = self.store.hello
        known: Line = [(f"{hello.redis}   durability {hello.durability}", FADED)] if hello.redis else []
        return self.filter_words() or known

    def unavailable(self, command: str) -> str:
        needs = ("pause", "open", "describe", "raw", "copy")
        return "there is no queue under the cursor" if command in needs and not self.queue_name else ""

    def document(self) -> tuple[str, object] | None:
        queue = self.store.queue(self.queue_name or "")
        if queue is None:
            return None
        shown = {
            name: getattr(queue, name) for name in queue.__slots__ if name not in ("counts", "name", "spark")
        }
        return f"queue {queue.name}", {
            "name": queue.name,
            **queue.counts,
            **shown,
            "spark": list(queue.spark),
        }

    def _draw_charts(self) -> None:
        series, stats = self.store.series, self.store.stats
        p50, p99 = words.age(stats.wait_p50_s), words.age(stats.wait_p99_s)
        peak, worst = max(series.completed, default=0.0), max(series.wait_p99_s, default=0.0)
        failing = style(RED if stats.failing else DIM, bold=bool(stats.failing))
        self._throughput.show(
            series.completed,
            [("done /s " if self._throughput.size.width < 48 else "throughput /s  done ", FADED), (words.rate(stats.throughput), style(EMBER, bold=True)), ("  failed ", FADED), (words.rate(stats.failing), failing)],
            [(f"5 min  peak {words.rate(peak)}", FADED)],
            series.failed,
        )  # fmt: skip
        self._wait.show(
            series.wait_p99_s,
            [("wait  p50 ", FADED), (p50, style(VIOLET, bold=True)), ("  p99 ", FADED), (p99, style(CYAN, bold=True))],
            [(f"max {words.age(worst)}", FADED)],
            series.wait_p50_s,
        )  # fmt: skip
        self._failures.show(
            series.failed,
            [("failed attempts /s  ", FADED), (words.rate(stats.failing), failing)],
            [(f"max {words.rate(max(series.failed, default=0.0))}", FADED)],
        )

    def _draw_attention(self) -> None:
        lines = self._findings()
        self._attention.styles.height = max(2, len(lines))
        self._attention.show(lines)

    def _findings(self) -> list[Line]:
        found, room = self.store.stats.attention, max(2, self.app.size.height // 6)
        if not self.store.known:
            return []
        if not found:
            return [[("NEEDS ATTENTION", HEAD)], [("✓ ", style(GREEN)), ("nothing: all queues move", FADED)]]
        width = max(20, self._attention.size.width - 2)
        lines: list[Line] = [[("NEEDS ATTENTION", HEAD)]]
        lines += [_finding(finding, width) for finding in found[:room]]
        if len(found) > room:
            lines[-1] = [(f"  and {len(found) - room + 1} more", FADED)]
        return lines

    def _draw_boxes(self) -> None:
        now_s = self.store.server_now_s
        stats = self.store.stats
        box = self._running_box
        running = [_running_line(job, now_s, box.room) for job in self._longest[: box.rows]]
        more = stats.running - len(running)
        title: Line = [
            ("NOW RUNNING", HEAD),
            ("  longest first", FADED),
            (f"  +{more} more" if more > 0 else "", FADED),
        ]
        box.fill(title, running or [[("nothing runs", FADED)]])
        box = self._dead_box
        groups = [_group_line(group, now_s, box.room) for group in self._groups[: box.rows]]
        box.fill([("DEAD", HEAD), ("  by error", FADED)], groups or [[("nothing is dead", style(GREEN))]])
        box = self._workers_box
        workers = [_worker_line(worker, box.room) for worker in self._workers[: box.rows]]
        none: list[Line] = [[("no worker: ", FADED), ("ironforge worker MODULE:FORGE", style(EMBER))]]
        box.fill([("WORKERS", HEAD)], workers or none)


def _row(queue: Queue) -> Row:
    late = queue.oldest_s is not None and queue.oldest_s > 60

    def number(status: str, colour: str) -> tuple[str, Look]:
        count = queue.count(status)
        return words.count(count), style(colour if count else DIM, bold=bool(count) and status == "dead")

    def pace(value: float, colour: str) -> tuple[str, Look]:
        return words.rate(value), style(colour if value else DIM)

    name = f"{queue.name} ‖paused" if queue.paused else queue.name
    return Row(
        queue.name,
        {
            "name": (name, style(GOLD if queue.paused else INK, bold=True)),
            "queued": number("queued", STATUS_COLOUR["queued"]),
            "running": number("running", GOLD),
            "scheduled": number("scheduled", CYAN),
            "retrying": number("retrying", VIOLET),
            "dead": number("dead", RED),
            "oldest": (
                words.age(queue.oldest_s),
                style(RED if late else DIM if queue.oldest_s is None else INK),
            ),
            "out": pace(queue.out_per_s, GREEN),
            "in": pace(queue.in_per_s, INK),
            "failed": pace(queue.failed_per_s, RED),
            "eta": (words.age(queue.eta_s), FADED),
            "workers": (words.count(queue.workers), style(INK if queue.workers else DIM)),
            "completed": (words.count(queue.count("completed")), FADED),
            "spark": Spark(queue.spark, style(EMBER)),
        },
    )


def _finding(finding: Finding, width: int) -> Line:
    colour = RED if finding.bad else GOLD
    subject = "dead" if finding.rule == "dead_grew" else finding.subject[-12:]
    hint = _HINTS.get(finding.rule, finding.hint)
    left: Line = [
        ("! ", style(colour, bold=True)),
        (f"{subject:<12} ", style(INK, bold=True)),
        (finding.message, style(INK)),
    ]
    return squeezed(left, [(f"[{hint}]", style(EMBER))], width)


def _running_line(job: JobRow, now_s: float, width: int) -> Line:
    elapsed = words.age(max(0.0, now_s - job.started_s)) if job.started_s is not None else "-"
    left: Line = [
        (words.short_id(job.id), style(GOLD)),
        (f"  {job.kind:<15.15}", style(INK, bold=True)),
        (f" {elapsed:>6}", style(INK)),
    ]
    left.append((f"  {job.queue}", FADED))
    if job.fraction is None:
        return left
    return squeezed(left, [(words.fraction_of(11, job.fraction), style(EMBER))], width)


def _group_line(group: Group, now_s: float, width: int) -> Line:
    left: Line = [
        (f"{words.count(group.count):>5}", style(RED, bold=True)),
        (f"  {group.kind:<16.16}", style(INK, bold=True)),
        (f" {group.error_type}: {group.error_message}", FADED),
    ]
    ago = words.age(max(0.0, now_s - group.last_s)) if group.last_s is not None else "-"
    return squeezed(left, [(f"{ago:>6}", style(INK))], width)


def _worker_line(worker: Worker, width: int) -> Line:
    share = worker.busy / worker.concurrency if worker.concurrency else 0.0
    lost = worker.state == "lost"
    left: Line = [
        ("! " if lost else "● ", style(RED if lost else GREEN)),
        (f"{worker.id[-20:]:<20}", style(INK, bold=True)),
        (
            f"  {words.bar(share, 10)} {worker.busy:>3}/{worker.concurrency:<3}",
            style(GOLD if worker.busy else DIM),
        ),
    ]
    cpu = f"{worker.cpu_pct:.0f}%" if worker.cpu_pct is not None else "-"
    return squeezed(left, [(f"cpu {cpu:>4}  {words.size(worker.rss_bytes):>5}", FADED)], width)
