"""4 Workers: who runs what, who is alive, who was lost."""

from __future__ import annotations

import time
from typing import Any

from textual.app import ComposeResult

from ironforge.tui import words
from ironforge.tui.store import clean
from ironforge.tui.theme import DIM, EMBER, FADED, GOLD, GREEN, INK, RED, style
from ironforge.tui.views.view import View
from ironforge.tui.widgets.grid import Column, Grid, Row
from ironforge.tui.widgets.lines import Line, Lines

COLUMNS = (
    Column("state", "", 1, keep=100),
    Column("id", "WORKER", 20, keep=99, grows=True),
    Column("queues", "QUEUES", 18, keep=70, grows=True),
    Column("slots", "SLOTS", 18, keep=95),
    Column("beat", "BEAT", 6, right=True, keep=90),
    Column("up", "UP", 7, right=True, keep=80),
    Column("cpu", "CPU", 5, right=True, keep=75),
    Column("rss", "RSS", 6, right=True, keep=74),
    Column("done", "DONE", 7, right=True, keep=60),
    Column("failed", "FAILED", 6, right=True, keep=58),
    Column("pid", "PID", 7, right=True, keep=40),
    Column("version", "VERSION", 8, keep=30),
)
REFETCH_S = 1.0
_SIGNS = {"running": ("●", GREEN), "quiet": ("q", GOLD), "stopping": ("q", GOLD), "lost": ("!", RED)}


class Workers(View):
    key = "workers"
    DEFAULT_CSS = """
    Workers #worker-crumb { height: 1; padding: 0 1; }
    Workers #slots { height: 9; border: round $border; border-title-color: $foreground; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="workers")
        self._crumb = Lines(id="worker-crumb")
        self._grid = Grid(
            COLUMNS, id="workerlist", empty=("No worker", "Start one with: ironforge worker MODULE:FORGE")
        )
        self._slots = Lines(id="slots")
        self._workers: dict[str, dict[str, Any]] = {}
        self._fetched_at, self._loading = 0.0, False

    def compose(self) -> ComposeResult:
        yield self._crumb
        yield self._grid
        yield self._slots

    def main(self) -> Grid:
        return self._grid

    @property
    def worker(self) -> dict[str, Any] | None:
        return self._workers.get(self._grid.cursor_id or "")

    def draw(self) -> None:
        self._grid.dimmed = self._slots.dimmed = self.store.link in ("offline", "denied")
        due = time.monotonic() - self._fetched_at >= REFETCH_S
        if due and not self._loading and self.store.link in ("live", "lag", "poll"):
            self._loading, self._fetched_at = True, time.monotonic()
            self.console.load(self._fetch(), self._failed)
        now_s = self.store.server_now_s
        self._grid.show([self._row(worker, now_s) for worker in self._workers.values()])
        self._draw_crumb()
        self._draw_slots(now_s)

    async def _fetch(self) -> None:
        workers = clean(await self.console.api.workers())
        self._loading = False
        self._workers = {str(worker["id"]): worker for worker in workers}
        self.draw()

    def _failed(self, words_: str) -> None:
        self._loading = False

    def _draw_crumb(self) -> None:
        workers = self._workers.values()
        busy, slots = (sum(int(w.get(name) or 0) for w in workers) for name in ("busy", "concurrency"))
        lost = sum(w.get("state") == "lost" for w in workers)
        self._crumb.show(
            [
                [
                    ("workers ", FADED), (f"{len(self._workers)}", style(INK, bold=True)),
                    ("   slots ", FADED), (f"{busy}/{slots} busy", style(GOLD, bold=True)),
                    ("   lost ", FADED), (str(lost), style(RED if lost else DIM, bold=True)),
                ]
            ]
        )  # fmt: skip

    def _row(self, worker: dict[str, Any], now_s: float) -> Row:
        state = str(worker.get("state"))
        sign, colour = _SIGNS.get(state, ("?", DIM))
        busy, slots = int(worker.get("busy") or 0), int(worker.get("concurrency") or 0)
        beat: float | None = worker.get("beat_age_s")
        cpu: float | None = worker.get("cpu_pct")
        started = words.epoch_s(worker.get("started_at"))
        return Row(
            str(worker["id"]),
            {
                "state": (sign, style(colour, bold=True)),
                "id": (str(worker["id"]), style(INK, bold=True)),
                "queues": (", ".join(worker.get("queues") or []), FADED),
                "slots": (
                    f"{words.bar(busy / slots if slots else 0, 10)} {busy:>2}/{slots}",
                    style(GOLD if busy else DIM),
                ),
                "beat": (words.age(beat), style(RED if beat is not None and beat > 10 else INK)),
                "up": (words.age(now_s - started) if started else "-", FADED),
                "cpu": (f"{cpu:.0f}%" if cpu is not None else "-", style(INK)),
                "rss": (words.size(worker.get("rss_bytes")), style(INK)),
                "done": (words.count(worker.get("done")), style(GREEN)),
                "failed": (words.count(worker.get("failed")), style(RED if worker.get("failed") else DIM)),
                "pid": (str(worker.get("pid")), FADED),
                "version": (str(worker.get("version")), FADED),
            },
        )

    def _draw_slots(self, now_s: float) -> None:
        worker = self.worker
        self._slots.display = worker is not None
        if worker is None:
            return
        self._slots.border_title = f"{worker['id']} on {worker.get('host')}, pid {worker.get('pid')}"
        running: list[dict[str, Any]] = worker.get("running") or []
        cells = [self._slot(job, now_s) for job in running]
        columns = 2 if self.size.width >= 100 else 1
        height = 6
        lines: list[Line] = []
        for at in range(min(height, max(1, -(-len(cells) // columns)))):
            parts: Line = []
            for column in range(columns):
                place = at + column * height
                if place < len(cells):
                    parts += cells[place]
            lines.append(parts)
        if not cells:
            lines = [[("idle: every slot is free", FADED)]]
        lines = lines[:height] + _troubles(worker)
        self._slots.show(lines[-7:])

    def _slot(self, job: dict[str, Any], now_s: float) -> Line:
        started = words.epoch_s(job.get("started_at"))
        elapsed = words.age(max(0.0, now_s - started)) if started else "-"
        told = job.get("progress")
        fraction = told.get("fraction") if isinstance(told, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        shown = f" {words.bar(float(fraction), 6)}" if isinstance(fraction, int | float) else " " * 7
        return [
            ("▶ ", style(GOLD)),
            (words.short_id(str(job.get("id"))), FADED),
            (f" {job.get('kind')!s:<18.18}", style(INK, bold=True)),
            (f"{elapsed:>7}", style(INK)),
            (f"{shown}   ", style(EMBER)),
        ]

    def unavailable(self, command: str) -> str:
        return "" if self._workers or command not in ("open", "copy") else "there is no worker"


def _troubles(worker: dict[str, Any]) -> list[Line]:
    lines: list[Line] = []
    if crash := worker.get("last_crash"):
        lines.append(
            [
                ("! before it ", style(RED, bold=True)),
                (f"{crash.get('worker')} died: {crash.get('ended')}", style(INK)),
            ]
        )
    if blocked := worker.get("blocked"):
        lines.append(
            [
                ("! its loop is blocked ", style(RED, bold=True)),
                (f"by job {words.short_id(str(blocked.get('job_id')))}", style(INK)),
            ]
        )
    if worker.get("state") == "lost":
        left = float(worker.get("lease_s") or 0)
        lines.append(
            [
                ("! lost ", style(RED, bold=True)),
                (f"its lease ran out {words.age(-left)} ago; its jobs go back to their queues", style(INK)),
            ]
        )
    return lines
