"""Prometheus text of a namespace: read from Redis, so it is true whichever process did the work, and after a restart.

Labels are bounded: the scripts count kinds past the 200th as `other`; queues past the 200th are summed up here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ironforge import __version__
from ironforge.queue.keys import BUCKETS_MS
from ironforge.queue.readings import Histogram, QueueReading, Stats, WorkerReading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_QUEUES = 200
OTHER = "other"
_BOUNDS = [f"{ms / 1000:g}" for ms in BUCKETS_MS] + ["+Inf"]


def render(stats: Stats, queues: Sequence[QueueReading], workers: Sequence[WorkerReading]) -> bytes:
    """All series of contract §5 and a few more, as Prometheus text 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once([*_counters(stats), *_gauges(queues), *_of_workers(workers, stats)]))
    return generate_latest(registry) + "".join(_histograms(stats)).encode()


class _Once(Collector):
    """Hands prometheus_client metrics that were read already."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> Iterable[Metric]:
        return self._found

    def describe(self) -> Iterable[Metric]:
        return ()


def _counters(stats: Stats) -> Iterator[Metric]:
    yield _counter(
        "jobs_submitted",
        "Jobs accepted.",
        ("kind", "priority"),
        stats.submitted,
    )
    yield _counter("jobs_completed", "Jobs that completed.", ("kind",), _single(stats.completed))
    yield _counter("jobs_failed", "Attempts that ended in an error.", ("kind",), _single(stats.failed))
    yield _counter(
        "jobs_retried",
        "Retries by their number; above the tenth as 10+.",
        ("kind", "retry_count"),
        stats.retried,
    )
    yield _counter("jobs_dlq", "Jobs that died.", ("kind",), _single(stats.dlq))


def _gauges(queues: Sequence[QueueReading]) -> Iterator[Metric]:
    wanted: tuple[tuple[str, str, Callable[[QueueReading], float]], ...] = (
        ("queue_depth", "Jobs that could run now.", lambda queue: queue.queued),
        ("dlq_depth", "Dead jobs that wait for a person.", lambda queue: queue.dead),
        ("active_jobs", "Jobs that run.", lambda queue: queue.running),
        ("scheduled_jobs", "Jobs that wait for their time.", lambda queue: queue.scheduled),
        ("retrying_jobs", "Jobs that wait for their next attempt.", lambda queue: queue.retrying),
        ("queue_paused", "1 for a queue that is paused.", lambda queue: float(queue.paused_ms is not None)),
    )
    for name, text, value in wanted:
        summed: dict[str, float] = {}
        for at, queue in enumerate(queues):
            label = queue.name if at < MAX_QUEUES else OTHER
            summed[label] = summed.get(label, 0) + value(queue)
        yield _gauge(name, text, "queue", summed)
    oldest: dict[str, float] = {}
    for at, queue in enumerate(queues):
        label = queue.name if at < MAX_QUEUES else OTHER
        oldest[label] = max(oldest.get(label, 0.0), queue.oldest_s or 0.0)
    yield _gauge(
        "oldest_ready_seconds", "How long the longest waiting ready job has waited.", "queue", oldest
    )


def _histograms(stats: Stats) -> Iterator[str]:
    """Nine of ten series: written here, since the library takes 80 ms for those of 200 kinds."""
    durations = (
        (f'kind="{_escaped(kind)}",status="{_escaped(status)}"', histogram)
        for (kind, status), histogram in sorted(stats.durations.items())
    )
    yield from _histogram("job_duration_seconds", "How long attempts took, by how they ended.", durations)
    waits = ((f'kind="{_escaped(kind)}"', histogram) for kind, histogram in sorted(stats.waits.items()))
    yield from _histogram(
        "job_wait_time_seconds", "How long jobs were ready before they were claimed.", waits
    )


def _histogram(name: str, text: str, series: Iterable[tuple[str, Histogram]]) -> Iterator[str]:
    full = f"ironforge_{name}"
    yield f"# HELP {full} {text}\n# TYPE {full} histogram\n"
    for labels, histogram in series:
        seen = 0
        start = f'{full}_bucket{{{labels},le="'
        for bound, count in zip(_BOUNDS, histogram.buckets, strict=True):
            seen += count
            yield f'{start}{bound}"}} {seen}\n'
        yield f"{full}_count{{{labels}}} {seen}\n{full}_sum{{{labels}}} {histogram.sum_ms / 1000!r}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _of_workers(workers: Sequence[WorkerReading], stats: Stats) -> Iterator[Metric]:
    live = [worker for worker in workers if worker.lease_s >= 0]
    yield _gauge(
        "workers", "Workers with a lease.", "version", _count_by(live, lambda worker: worker.version)
    )
    slots = GaugeMetricFamily("ironforge_worker_slots", "Jobs that these workers can run at once.")
    slots.add_metric((), sum(worker.concurrency for worker in live))
    yield slots
    lost = CounterMetricFamily(
        "ironforge_workers_lost",
        "Workers that crashed (seen) or whose lease lapsed (unseen).",
        labels=("cause",),
    )
    for cause in ("crashed", "lapsed"):
        lost.add_metric((cause,), stats.others.get(f"workers_{cause}", 0))
    yield lost
    yield _gauge("build_info", "The version of this server.", "version", {__version__: 1})


def _counter(name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(f"ironforge_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"ironforge_{name}", text, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family


def _single(values: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(key,): value for key, value in values.items()}


def _count_by(workers: Iterable[WorkerReading], label: Callable[[WorkerReading], str]) -> dict[str, float]:
    counts: dict[str, float] = {}
    for worker in workers:
        counts[label(worker)] = counts.get(label(worker), 0) + 1
    return counts
