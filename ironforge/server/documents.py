"""From readings of the queue to the documents that cross HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from ironforge import schemas
from ironforge.queue.keys import BUCKETS_MS
from ironforge.queue.readings import DeadGroup, QueueReading, Series, SlotCounts, TaskReading, WorkerReading
from ironforge.schemas import instant_at
from ironforge.server import attention

RATE_WINDOW_S = 60.0


def queue(reading: QueueReading, series: Series, workers: Sequence[WorkerReading]) -> schemas.Queue:
    name = reading.name
    coming, leaving, failing = (
        round(series.recent(what, RATE_WINDOW_S).get(name, 0.0), 2)
        for what in ("submitted", "completed", "failed")
    )
    shrinking = leaving - coming
    return schemas.Queue(
        name=name,
        paused=reading.paused_ms is not None,
        paused_at=instant_at(reading.paused_ms),
        queue_depth=reading.queued,
        queued=reading.queued,
        scheduled=reading.scheduled,
        retrying=reading.retrying,
        running=reading.running,
        dead=reading.dead,
        completed=reading.completed,
        cancelled=reading.cancelled,
        suspects=reading.suspects,
        oldest_s=None if reading.oldest_s is None else round(reading.oldest_s, 3),
        in_per_s=coming,
        out_per_s=leaving,
        failed_per_s=failing,
        eta_s=round(reading.queued / shrinking, 1) if reading.queued and shrinking > 0 else None,
        workers=sum(name in worker.queues for worker in attention.live(workers)),
        spark=[round(slot.completed.get(name, 0) / _span_s(slot, series), 2) for slot in series.slots],
    )


def series(found: Series) -> schemas.Series:
    def rates(what: str) -> list[float]:
        return [round(sum(getattr(slot, what).values()) / _span_s(slot, found), 2) for slot in found.slots]

    return schemas.Series(
        step_s=found.step_s,
        completed=rates("completed"),
        failed=rates("failed"),
        submitted=rates("submitted"),
        wait_p50_s=[quantile_s(slot.wait, 0.50) for slot in found.slots],
        wait_p99_s=[quantile_s(slot.wait, 0.99) for slot in found.slots],
    )


def _span_s(slot: SlotCounts, series: Series) -> float:
    """How long the slot has lasted; the running one is not taken for less than 2 s, which would make it jump."""
    return min(series.step_s, max(2.0, (series.now_ms - slot.start_ms) / 1000))


def quantile_s(buckets: Sequence[int], q: float) -> float | None:
    """The q-quantile of observations in `BUCKETS_MS`, as Prometheus estimates it: linear within a bucket."""
    total = sum(buckets)
    if not total:
        return None
    rank, seen, lower = q * total, 0, 0
    for count, upper in zip(buckets, BUCKETS_MS, strict=False):
        if count and seen + count >= rank:
            return round((lower + (upper - lower) * (rank - seen) / count) / 1000, 4)
        seen, lower = seen + count, upper
    return BUCKETS_MS[-1] / 1000


def worker(reading: WorkerReading, now_ms: int, progress: dict[str, object]) -> schemas.Worker:
    """One worker; `progress` holds what its running jobs told of themselves."""
    return schemas.Worker(
        id=reading.id,
        host=reading.host,
        pid=reading.pid,
        supervisor_pid=reading.supervisor_pid,
        version=reading.version,
        queues=reading.queues,
        kinds=reading.kinds,
        concurrency=reading.concurrency,
        state=reading.state,
        started_at=instant_at(reading.started_ms),
        lease_s=round(reading.lease_s, 3),
        beat_age_s=None if reading.beat_age_s is None else round(reading.beat_age_s, 3),
        cpu_pct=reading.cpu_pct,
        rss_bytes=reading.rss_bytes,
        busy=reading.claims,
        running=[
            schemas.RunningJob(
                id=job.id,
                kind=job.kind,
                queue=job.queue,
                started_at=instant_at(job.started_ms),
                elapsed_s=round(max(0, now_ms - job.started_ms) / 1000, 3),
                progress=progress.get(job.id),
            )
            for job in reading.running
        ],
        done=reading.done,
        failed=reading.failed,
        last_crash=reading.last_crash,
        blocked=reading.blocked,
    )


def group(reading: DeadGroup) -> schemas.Group:
    job = reading.sample
    error = job.last_error if job else None
    return schemas.Group(
        fingerprint=reading.fingerprint,
        kind=job.kind if job else "",
        error_type=error.type if error else "",
        error_message=error.message if error else "",
        where=innermost_line(error.traceback) if error else "",
        queue=job.queue if job else "",
        count=reading.count,
        first_at=instant_at(reading.first_ms),
        last_at=instant_at(reading.last_ms),
        sample_id=job.id if job else None,
    )


def innermost_line(traceback: str) -> str:
    """`file:line function` of the last frame that is not a library's; of the last one where all are."""
    frames: list[str] = []
    for line in traceback.splitlines():
        parts = line.strip().split(", ")
        if len(parts) >= 3 and parts[0].startswith('File "') and parts[1].startswith("line "):
            path = parts[0][6:].rstrip('"')
            frames.append(f"{path}:{parts[1][5:]} {parts[2].removeprefix('in ')}")
    own = [frame for frame in frames if "site-packages" not in frame and "/lib/python" not in frame]
    return (own or frames or [""])[-1]


def task(reading: TaskReading) -> schemas.Task:
    return schemas.Task(
        kind=reading.kind,
        workers=reading.workers,
        queues=reading.queues,
        schema=reading.schema,
        timeout_s=reading.timeout_s,
        max_retries=reading.max_retries,
        process=reading.process,
    )
