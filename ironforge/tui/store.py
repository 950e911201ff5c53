"""What the console knows, without Textual: the newest snapshot, the connection, and lists of jobs by id."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from ironforge.safe_text import safe_text
from ironforge.tui.words import epoch_s

Link = Literal["starting", "live", "lag", "offline", "degraded", "poll", "denied"]
LAG_S = 1.5
LOST_S = 2.5


def clean(value: Any, limit: int = 300) -> Any:
    """A document of the server with every text made safe for a terminal: the one place where text comes in."""
    if isinstance(value, str):
        return safe_text(value, limit)
    if isinstance(value, list):
        return [clean(item, limit) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {safe_text(str(key), 100): clean(item, limit) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


@dataclass(slots=True)
class JobRow:
    """A job as lists show it. Texts are safe; `raw` is the document as the server sent it, not made safe."""

    id: str
    kind: str
    queue: str
    status: str
    priority: str
    retry_count: int
    max_retries: int
    worker: str
    error: str
    created_s: float | None
    run_at_s: float | None
    started_s: float | None
    finished_s: float | None
    fraction: float | None
    doing: str
    cancel_requested: bool
    raw: dict[str, Any]


def job_row(raw: dict[str, Any]) -> JobRow:
    error = raw.get("last_error") or {}
    progress = raw.get("progress")
    told: dict[str, Any] = progress if isinstance(progress, dict) else {}
    fraction = told.get("fraction")
    return JobRow(
        id=safe_text(str(raw.get("id", "")), 64),
        kind=safe_text(str(raw.get("kind", "")), 64),
        queue=safe_text(str(raw.get("queue", "")), 64),
        status=safe_text(str(raw.get("status", "")), 16),
        priority=safe_text(str(raw.get("priority", "")), 16),
        retry_count=int(raw.get("retry_count") or 0),
        max_retries=int(raw.get("max_retries") or 0),
        worker=safe_text(str(raw.get("worker") or ""), 64),
        error=safe_text(f"{error['type']}: {error['message']}", 300) if error else "",
        created_s=epoch_s(raw.get("created_at")),
        run_at_s=epoch_s(raw.get("run_at")),
        started_s=epoch_s(raw.get("started_at")),
        finished_s=epoch_s(raw.get("finished_at")),
        fraction=float(fraction) if isinstance(fraction, int | float) else None,
        doing=safe_text(str(told.get("message", "")), 60),
        cancel_requested=bool(raw.get("cancel_requested")),
        raw=raw,
    )


def matches(row: JobRow, words: str) -> bool:
    """Whether a loaded row fits a filter: plain words are found in id, kind, error and worker; `!` negates."""
    for word in words.lower().split():
        wanted = not word.startswith("!")
        name, colon, rest = word.lstrip("!").partition(":")
        if colon and name in ("kind", "task", "queue", "worker", "error", "id"):
            found = rest in getattr(row, "kind" if name == "task" else name).lower()
        else:
            hay = f"{row.id} {row.kind} {row.error} {row.worker} {json.dumps(row.raw.get('payload'), default=str)}"
            found = word.lstrip("!") in hay.lower()
        if found is not wanted:
            return False
    return True


@dataclass(slots=True)
class Store:
    """Everything the views draw. `apply` takes one event of the stream and says what changed."""

    url: str = ""
    read_only: bool = False
    link: Link = "starting"
    link_words: str = "connecting"
    since: float = field(default_factory=time.monotonic)
    next_try_s: float | None = None
    last_event: float = 0.0
    hello: dict[str, Any] = field(default_factory=dict[str, Any])
    stats: dict[str, Any] = field(default_factory=dict[str, Any])
    queues: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    series: dict[str, Any] = field(default_factory=dict[str, Any])
    workers: dict[str, Any] = field(default_factory=dict[str, Any])
    now_s: float = 0.0
    changed_queues: set[str] = field(default_factory=set[str])
    changes: int = 0
    seen_dead: int | None = None
    _seq: int = -1
    _epoch: str = ""
    _clock_skew: float = 0.0

    def apply(self, event: str, data: dict[str, Any]) -> bool:
        """Takes one event. False when something was missed: begin anew with a fresh stream."""
        self.last_event = time.monotonic()
        seq = int(data.get("seq", -1))
        if event == "hello":
            self.hello, self._epoch = clean(data), str(data.get("epoch"))
            self.changed_queues.add("*")  # whatever lists are shown are old now
        elif self._seq >= 0 and seq != self._seq + 1:
            self._seq = -1
            return False
        self._seq = seq
        if (now_s := epoch_s(data.get("now"))) is not None:
            self.now_s, self._clock_skew = now_s, now_s - time.time()
        if event == "stats":
            self._take(data)
        elif event == "changed":
            self.changed_queues.add(str(data.get("queue")))
            self.changes += 1
        elif event == "hb":
            self._judge(str(data.get("redis", "ok")))
        return True

    def _take(self, data: dict[str, Any]) -> None:
        self.stats, self.queues = clean(data.get("stats") or {}), clean(data.get("queues") or [])
        self.series, self.workers = data.get("series") or {}, data.get("workers") or {}
        if self.seen_dead is None:
            self.seen_dead = int(self.stats.get("dlq_depth") or 0)
        self._judge("ok")

    def _judge(self, redis: str) -> None:
        if redis == "away":
            self.set_link("degraded", "the server is up, its Redis is away; numbers are the last known")
        elif self.link != "poll":
            self.set_link("live", "")

    def set_link(self, link: Link, words: str) -> bool:
        """True when the state changed."""
        self.link_words = words
        if link == self.link:
            return False
        self.link, self.since = link, time.monotonic()
        return True

    def lost(self, words: str, next_try_s: float | None) -> bool:
        self._seq = -1
        self.next_try_s = next_try_s
        return self.set_link("offline", words)

    def tick(self) -> None:
        """Notices a stream that went quiet."""
        if self.link in ("live", "lag"):
            quiet_s = self.quiet_s
            self.set_link("lag" if quiet_s > LAG_S else "live", "")

    @property
    def quiet_s(self) -> float:
        return max(0.0, time.monotonic() - self.last_event)

    @property
    def server_now_s(self) -> float:
        """The server's clock now."""
        return time.time() + self._clock_skew

    @property
    def can_change(self) -> str:
        """Why capitals are locked; empty when they are not."""
        if self.read_only:
            return "this console is read-only"
        if self.link in ("offline", "starting", "denied"):
            return "not possible while offline"
        if self.link == "degraded":
            return "not possible while Redis is away"
        return ""

    @property
    def new_dead(self) -> int:
        """How many more are dead than when the Dead view was last looked at."""
        return max(0, int(self.stats.get("dlq_depth") or 0) - (self.seen_dead or 0))

    def look_at_dead(self) -> None:
        self.seen_dead = int(self.stats.get("dlq_depth") or 0)

    def queue(self, name: str) -> dict[str, Any]:
        return next((queue for queue in self.queues if queue.get("name") == name), {})

    def take_changed(self) -> set[str]:
        changed, self.changed_queues = self.changed_queues, set()
        return changed
