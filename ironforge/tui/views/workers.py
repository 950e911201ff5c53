"""4 Workers: who runs what, who is alive, who was lost."""

from __future__ import annotations

from textual.app import ComposeResult

from ironforge.tui import words
from ironforge.tui.models import Slot, Worker, worker_of
from ironforge.tui.theme import DIM, EMBER, FADED, GOLD, GREEN, INK, RED, Look, style
from ironforge.tui.views.view import Fetching, View
from ironforge.tui.widgets.grid import Column, Grid, Row
from ironforge.tui.widgets.lines import Box, Line, Lines, cut, width_of

COLUMNS = (
    Column("state", "", 1, keep=100),
    Column("id", "WORKER", 18, keep=99, grows=2, most=34),
    Column("host", "HOST", 10, keep=35),
    Column("queues", "QUEUES", 14, keep=70, grows=2),
    Column("slots", "SLOTS", 16, keep=95),
    Column("beat", "BEAT", 5, right=True, keep=90, calm=True),
    Column("up", "UP", 6, right=True, keep=80, calm=True),
    Column("cpu", "CPU", 4, right=True, keep=75, calm=True),
    Column("rss", "RSS", 5, right=True, keep=74, calm=True),
    Column("done", "DONE", 6, right=True, keep=60, calm=True),
    Column("failed", "FAILED", 6, right=True, keep=58, calm=True),
    Column("pid", "PID", 7, right=True, keep=40),
    Column("version", "VERSION", 7, keep=30),
)
_SIGNS = {"running": ("●", GREEN), "quiet": ("q", GOLD), "stopping": ("q", GOLD), "lost": ("!", RED)}


class Workers(View):
    key = "workers"

    def __init__(self) -> None:
        super().__init__(id="workers")
        empty = (
            "No worker",
            "Start one with: ironforge worker MODULE:FORGE",
            "or the demo's: ironforge worker",
        )
        self._crumb = Lines(id="worker-crumb")
        self._grid = Grid(COLUMNS, id="workerlist", empty=empty)
        self._grid.add_class("panel")
        self._slots = Box(id="slots")
        self._workers: dict[str, Worker] = {}
        self._fetching = Fetching(1.0)

    def compose(self) -> ComposeResult:
        yield self._crumb
        yield self._grid
        yield self._slots

    def main(self) -> Grid:
        return self._grid

    @property
    def worker(self) -> Worker | None:
        return self._workers.get(self._grid.cursor_id or "")

    def draw(self) -> None:
        self._grid.dimmed = self._slots.dimmed = self.store.dimmed
        self._fetching.stale = True  # ages and loads change even when no list does
        self._fetching.begin(self, self._fetch)
        self._grid.show(self.filtered([self._row(worker) for worker in self._workers.values()]))
        self._draw_crumb()
        self._draw_slots()

    async def _fetch(self) -> None:
        self._workers = {worker.id: worker for worker in map(worker_of, await self.console.api.workers())}

    def _draw_crumb(self) -> None:
        workers = list(self._workers.values())
        busy, slots = sum(worker.busy for worker in workers), sum(worker.concurrency for worker in workers)
        quiet = sum(worker.state in ("quiet", "stopping") for worker in workers)
        lost = sum(worker.state == "lost" for worker in workers)
        versions = sorted({worker.version for worker in workers})
        self._crumb.show(
            [
                [
                    ("workers ", style(EMBER, bold=True)), (str(len(workers)), style(INK, bold=True)),
                    ("   slots ", FADED), (f"{busy}/{slots} busy", style(GOLD if busy else DIM, bold=True)),
                    ("   quiet ", FADED), (str(quiet), style(GOLD if quiet else DIM)),
                    ("   lost ", FADED), (str(lost), style(RED if lost else DIM, bold=bool(lost))),
                    (f"   version {', '.join(versions)}" if versions else "", FADED),
                ]
            ]
        )  # fmt: skip

    def _row(self, worker: Worker) -> Row:
        sign, colour = _SIGNS.get(worker.state, ("?", DIM))
        share = worker.busy / worker.concurrency if worker.concurrency else 0.0
        late = worker.beat_age_s is not None and worker.beat_age_s > 10
        now_s = self.store.server_now_s
        unknown = self.store.dimmed
        look: Look = style(GOLD if worker.busy else DIM)
        return Row(
            worker.id,
            {
                "state": (sign, style(colour, bold=True)),
                "id": (worker.id, style(INK, bold=True)),
                "host": (worker.host, FADED),
                "queues": (", ".join(worker.queues), FADED),
                "slots": (f"{words.bar(share, 10)} {worker.busy}/{worker.concurrency}", look),
                "beat": ("?" if unknown else words.age(worker.beat_age_s), style(RED if late else INK)),
                "up": (words.age(now_s - worker.started_s) if worker.started_s else "-", FADED),
                "cpu": (f"{worker.cpu_pct:.0f}%" if worker.cpu_pct is not None else "-", style(INK)),
                "rss": (words.size(worker.rss_bytes), style(INK)),
                "done": (words.count(worker.done), style(GREEN if worker.done else DIM)),
                "failed": (words.count(worker.failed), style(RED if worker.failed else DIM)),
                "pid": (str(worker.pid), FADED),
                "version": (worker.version, FADED),
            },
        )

    def _draw_slots(self) -> None:
        worker = self.worker
        self._slots.set_class(worker is None, "-absent")
        if worker is None:
            return
        title: Line = [
            (worker.id, style(EMBER, bold=True)),
            (f"  on {worker.host}, pid {worker.pid}", FADED),
        ]
        troubles: list[Line] = [
            [("! ", style(RED, bold=True)), (what, style(INK))] for what in worker.troubles
        ]
        room = max(1, self._slots.rows - len(troubles))
        about = _about(worker) if self._slots.rows >= 9 else []
        lines = self._slot_lines(worker, room - len(about))
        self._slots.fill(title, [*about, *troubles, *lines])

    def _slot_lines(self, worker: Worker, room: int) -> list[Line]:
        """Running jobs, in as many columns as fit, filled downwards."""
        if not worker.slots:
            return [[("idle: every slot is free", FADED)]]
        width = self._slots.room
        columns = max(1, width // 58)
        each = width // columns
        height = min(room, -(-len(worker.slots) // columns))
        cells = [cut(self._slot(job), each - 2) for job in worker.slots]
        lines: list[Line] = []
        for at in range(height):
            line: Line = []
            for cell in cells[at::height][:columns]:
                line += [*cell, (" " * max(1, each - width_of(cell)), FADED)]
            lines.append(line)
        return lines

    def _slot(self, job: Slot) -> Line:
        elapsed = max(0.0, self.store.server_now_s - job.started_s) if job.started_s is not None else None
        shown = "?" if self.store.dimmed else words.age(elapsed)
        bar = words.fraction_of(11, job.fraction) if job.fraction is not None else ""
        return [
            ("▶ ", style(GOLD)),
            (words.short_id(job.id), FADED),
            (f" {job.kind:<16.16}", style(INK, bold=True)),
            (f"{shown:>7}", style(INK)),
            (f"  {bar}", style(EMBER)),
        ]

    def row_fits(self, row_id: str, words: str) -> bool:
        worker = self._workers.get(row_id)
        return worker is not None and words.lower() in f"{worker.id} {worker.host} {worker.queues}".lower()

    def document(self) -> tuple[str, object] | None:
        worker = self.worker
        return (f"worker {worker.id}", worker.raw) if worker else None

    def unavailable(self, command: str) -> str:
        needs = ("open", "copy", "describe", "raw")
        return "there is no worker" if command in needs and not self.worker else ""


def _about(worker: Worker) -> list[Line]:
    """Which queues it serves, and what it can run."""
    return [
        [("queues  ", FADED), (", ".join(worker.queues) or "-", style(INK))],
        [("kinds   ", FADED), (", ".join(worker.kinds) or "-", style(INK))],
        [],
    ]
