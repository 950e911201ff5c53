"""What the server told, as the views draw it. Texts are made safe here, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ironforge.tui.doc import Doc, one_line


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    paused: bool
    paused_s: float | None
    counts: Mapping[str, int]  # by status
    oldest_s: float | None
    in_per_s: float
    out_per_s: float
    failed_per_s: float
    eta_s: float | None
    workers: int
    spark: tuple[float, ...]

    def count(self, status: str) -> int:
        return self.counts.get(status, 0)


_STATUSES = ("queued", "running", "scheduled", "retrying", "dead", "completed", "cancelled")


def queue_of(raw: object) -> Queue:
    doc = Doc(raw)
    return Queue(
        name=doc.text("name", 64),
        paused=doc.flag("paused"),
        paused_s=doc.at("paused_at"),
        counts={status: doc.whole(status) for status in _STATUSES},
        oldest_s=doc.real("oldest_s"),
        in_per_s=doc.rate("in_per_s"),
        out_per_s=doc.rate("out_per_s"),
        failed_per_s=doc.rate("failed_per_s"),
        eta_s=doc.real("eta_s"),
        workers=doc.whole("workers"),
        spark=doc.reals("spark"),
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that needs a person."""

    rule: str
    bad: bool
    subject: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Stats:
    """All queues together."""

    queue_depth: int = 0
    dead: int = 0
    running: int = 0
    scheduled: int = 0
    retrying: int = 0
    completed: int = 0
    failed: int = 0
    throughput: float = 0.0
    failing: float = 0.0
    workers: int = 0
    slots: int = 0
    wait_p50_s: float | None = None
    wait_p99_s: float | None = None
    attention: tuple[Finding, ...] = ()


def stats_of(raw: object) -> Stats:
    doc = Doc(raw)
    return Stats(
        queue_depth=doc.whole("queue_depth"),
        dead=doc.whole("dlq_depth"),
        running=doc.whole("active_jobs"),
        scheduled=doc.whole("scheduled"),
        retrying=doc.whole("retrying"),
        completed=doc.whole("completed"),
        failed=doc.whole("failed"),
        throughput=doc.rate("throughput"),
        failing=doc.rate("failing"),
        workers=doc.whole("workers"),
        slots=doc.whole("slots"),
        wait_p50_s=doc.real("wait_p50_s"),
        wait_p99_s=doc.real("wait_p99_s"),
        attention=tuple(
            Finding(
                found.text("rule", 40),
                found.text("severity", 10) == "bad",
                found.doc("subject").text("name", 64),
                found.text("message"),
                found.text("hint"),
            )
            for found in doc.docs("attention")
        ),
    )


@dataclass(frozen=True, slots=True)
class Series:
    """Per second, in slots of ten seconds, oldest first."""

    completed: tuple[float, ...] = ()
    failed: tuple[float, ...] = ()
    wait_p50_s: tuple[float, ...] = ()
    wait_p99_s: tuple[float, ...] = ()


def series_of(raw: object) -> Series:
    doc = Doc(raw)
    return Series(
        doc.reals("completed"), doc.reals("failed"), doc.reals("wait_p50_s"), doc.reals("wait_p99_s")
    )


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as lists show it. Texts are safe; `raw` is the document as it came, which is not."""

    id: str
    kind: str
    queue: str
    status: str
    priority: str
    retry_count: int
    max_retries: int
    worker: str
    error: str
    payload: str
    created_s: float | None
    run_at_s: float | None
    started_s: float | None
    finished_s: float | None
    fraction: float | None
    doing: str
    cancel_requested: bool
    raw: dict[str, Any]


def job_row(raw: object) -> JobRow:
    doc = Doc(raw)
    error = doc.doc("last_error")
    told = doc.doc("progress")
    return JobRow(
        id=doc.text("id", 64),
        kind=doc.text("kind", 64),
        queue=doc.text("queue", 64),
        status=doc.text("status", 16),
        priority=doc.text("priority", 16),
        retry_count=doc.whole("retry_count"),
        max_retries=doc.whole("max_retries"),
        worker=doc.text("worker", 64),
        error=f"{error.text('type', 100)}: {error.text('message')}" if error.raw else "",
        payload=one_line(doc.raw.get("payload")),
        created_s=doc.at("created_at"),
        run_at_s=doc.at("run_at"),
        started_s=doc.at("started_at"),
        finished_s=doc.at("finished_at"),
        fraction=told.real("fraction"),
        doing=told.text("message", 60),
        cancel_requested=doc.flag("cancel_requested"),
        raw=dict(doc.raw),
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Dead jobs of one kind and one error."""

    fingerprint: str
    kind: str
    error_type: str
    error_message: str
    where: str
    queue: str
    count: int
    first_s: float | None
    last_s: float | None
    sample_id: str


def group_of(raw: object) -> Group:
    doc = Doc(raw)
    return Group(
        fingerprint=doc.text("fingerprint", 64),
        kind=doc.text("kind", 64),
        error_type=doc.text("error_type", 100),
        error_message=doc.text("error_message", 500),
        where=doc.text("where", 200),
        queue=doc.text("queue", 64),
        count=doc.whole("count"),
        first_s=doc.at("first_at"),
        last_s=doc.at("last_at"),
        sample_id=doc.text("sample_id", 64),
    )


@dataclass(frozen=True, slots=True)
class Slot:
    """A job that a worker runs."""

    id: str
    kind: str
    queue: str
    started_s: float | None
    fraction: float | None


@dataclass(frozen=True, slots=True)
class Worker:
    id: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    kinds: tuple[str, ...]
    concurrency: int
    state: str
    started_s: float | None
    lease_s: float
    beat_age_s: float | None
    cpu_pct: float | None
    rss_bytes: int | None
    busy: int
    done: int
    failed: int
    slots: tuple[Slot, ...]
    troubles: tuple[str, ...]
    raw: dict[str, Any]


def worker_of(raw: object) -> Worker:
    doc = Doc(raw)
    return Worker(
        id=doc.text("id", 64),
        host=doc.text("host", 64),
        pid=doc.whole("pid"),
        version=doc.text("version", 20),
        queues=tuple(doc.texts("queues")),
        kinds=tuple(doc.texts("kinds")),
        concurrency=doc.whole("concurrency"),
        state=doc.text("state", 20),
        started_s=doc.at("started_at"),
        lease_s=doc.rate("lease_s"),
        beat_age_s=doc.real("beat_age_s"),
        cpu_pct=doc.real("cpu_pct"),
        rss_bytes=doc.whole("rss_bytes") or None,
        busy=doc.whole("busy"),
        done=doc.whole("done"),
        failed=doc.whole("failed"),
        slots=tuple(_slot(job) for job in doc.docs("running")),
        troubles=tuple(_troubles(doc)),
        raw=dict(doc.raw),
    )


def _slot(doc: Doc) -> Slot:
    return Slot(
        id=doc.text("id", 64),
        kind=doc.text("kind", 64),
        queue=doc.text("queue", 64),
        started_s=doc.at("started_at"),
        fraction=doc.doc("progress").real("fraction"),
    )


def _troubles(doc: Doc) -> list[str]:
    found: list[str] = []
    if doc.text("state") == "lost":
        found.append(f"its lease ran out {-doc.rate('lease_s'):.0f} s ago; its jobs go back to their queues")
    if (blocked := doc.doc("blocked")).raw:
        job = blocked.text("job_id", 64)[-12:]
        found.append(f"its loop is blocked by job {job}: make the handler `def`, or process=True (y: stack)")
    if (crash := doc.doc("last_crash")).raw:
        found.append(f"the process before it, {crash.text('worker', 64)}, ended: {crash.text('ended', 100)}")
    return found
