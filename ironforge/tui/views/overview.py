"""1 Overview: throughput and wait, every queue, and what needs a person."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal

from ironforge.tui import words
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
    style,
)
from ironforge.tui.views.view import View
from ironforge.tui.widgets.chart import Chart
from ironforge.tui.widgets.grid import Column, Grid, Row
from ironforge.tui.widgets.lines import Line, Lines

COLUMNS = (
    Column("name", "QUEUE", 14, keep=100, grows=True),
    Column("queued", "QUEUED", 8, right=True, keep=99),
    Column("running", "RUN", 5, right=True, keep=98),
    Column("scheduled", "SCHED", 6, right=True, keep=92),
    Column("retrying", "RETRY", 6, right=True, keep=93),
    Column("dead", "DEAD", 6, right=True, keep=97),
    Column("oldest", "OLDEST", 7, right=True, keep=96),
    Column("out", "/S", 6, right=True, keep=91),
    Column("eta", "ETA", 6, right=True, keep=80),
    Column("in", "IN/S", 6, right=True, keep=60),
    Column("failed", "FAIL/S", 6, right=True, keep=55),
    Column("workers", "WORKERS", 7, right=True, keep=50),
    Column("completed", "KEPT", 7, right=True, keep=45),
    Column("spark", "5 MIN", 12, keep=70, grows=True, tail=True),
)
ATTENTION_LINES = 4


class Overview(View):
    key = "overview"
    DEFAULT_CSS = """
    Overview #charts { height: 6; }
    Overview Chart { width: 1fr; height: 100%; }
    Overview #attention { height: 5; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="overview")
        self._throughput = Chart(EMBER, id="throughput")
        self._wait = Chart(CYAN, id="wait")
        self._grid = Grid(COLUMNS, id="queues", empty=("No queue yet", "N submits the first job"))
        self._attention = Lines(id="attention")

    def compose(self) -> ComposeResult:
        with Horizontal(id="charts"):
            yield self._throughput
            yield self._wait
        yield self._grid
        yield self._attention

    def main(self) -> Grid:
        return self._grid

    @property
    def queue_name(self) -> str | None:
        return self._grid.cursor_id

    def draw(self) -> None:
        offline = self.store.link in ("offline", "denied")
        for part in (self._throughput, self._wait, self._attention):
            part.dimmed = offline
        self._grid.dimmed = offline
        self._draw_charts()
        self._grid.show([self._row(queue) for queue in self.store.queues])
        self._attention.show(self._needs_attention())

    def foot(self) -> Line:
        redis = self.store.hello.get("redis", "")
        durability = self.store.hello.get("durability", "")
        return [(f"{redis}  durability {durability}" if redis else "", FADED)]

    def unavailable(self, command: str) -> str:
        if command in ("pause", "open") and not self._grid.cursor_id:
            return "there is no queue under the cursor"
        return ""

    def _draw_charts(self) -> None:
        series, stats = self.store.series, self.store.stats
        done: list[float] = series.get("completed") or []
        waits: list[float | None] = series.get("wait_p99_s") or []
        self._throughput.show(
            done,
            f"throughput /s  done {words.rate(stats.get('throughput'))}  failed {words.rate(stats.get('failing'))}",
            f"5 min  peak {words.rate(max(done, default=0))}",
        )
        self._wait.show(
            waits,
            f"wait  p50 {words.age(stats.get('wait_p50_s'))}  p99 {words.age(stats.get('wait_p99_s'))}",
            f"p99  max {words.age(max((wait or 0 for wait in waits), default=0))}",
        )

    def _row(self, queue: dict[str, Any]) -> Row:
        paused = bool(queue.get("paused"))
        dead = int(queue.get("dead") or 0)
        oldest: float | None = queue.get("oldest_s")
        late = oldest is not None and oldest > 60
        name = str(queue.get("name"))
        return Row(
            name,
            {
                "name": (f"{name} ‖paused" if paused else name, style(GOLD if paused else INK, bold=True)),
                "queued": (
                    words.count(queue.get("queue_depth")),
                    style(_some(queue, "queue_depth", STATUS_COLOUR["queued"])),
                ),
                "running": (words.count(queue.get("running")), style(_some(queue, "running", GOLD))),
                "scheduled": (words.count(queue.get("scheduled")), style(_some(queue, "scheduled", CYAN))),
                "retrying": (words.count(queue.get("retrying")), style(_some(queue, "retrying", VIOLET))),
                "dead": (words.count(dead), style(RED if dead else DIM, bold=bool(dead))),
                "oldest": (words.age(oldest), style(RED if late else INK if oldest is not None else DIM)),
                "out": (words.rate(queue.get("out_per_s")), style(_some(queue, "out_per_s", GREEN))),
                "in": (words.rate(queue.get("in_per_s")), style(_some(queue, "in_per_s", INK))),
                "failed": (words.rate(queue.get("failed_per_s")), style(_some(queue, "failed_per_s", RED))),
                "eta": (words.age(queue.get("eta_s")), FADED),
                "workers": (words.count(queue.get("workers")), style(_some(queue, "workers", INK))),
                "completed": (words.count(queue.get("completed")), FADED),
                "spark": (words.spark(queue.get("spark") or [], 30), style(EMBER)),
            },
        )

    def _needs_attention(self) -> list[Line]:
        findings: list[dict[str, Any]] = self.store.stats.get("attention") or []
        if not self.store.stats:
            return []
        if not findings:
            return [[("NEEDS ATTENTION", HEAD)], [("✓ ", style(GREEN)), ("nothing: all queues move", FADED)]]
        lines: list[Line] = [[("NEEDS ATTENTION", HEAD)]]
        for finding in findings[:ATTENTION_LINES]:
            colour = RED if finding.get("severity") == "bad" else GOLD
            subject = finding.get("subject") or {}
            lines.append(
                [
                    ("! ", style(colour, bold=True)),
                    (f"{subject.get('name', '')!s:<12} ", style(INK, bold=True)),
                    (str(finding.get("message", "")), style(INK)),
                    (f"  {finding.get('hint', '')}", FADED),
                ]
            )
        if len(findings) > ATTENTION_LINES:
            lines[-1] = [(f"  and {len(findings) - ATTENTION_LINES + 1} more", FADED)]
        return lines


def _some(queue: dict[str, Any], name: str, colour: str) -> str:
    """The colour, faded for a zero: what is there should stand out."""
    return colour if queue.get(name) else DIM
