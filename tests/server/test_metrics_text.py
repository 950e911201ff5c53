"""The histograms' text says what the library's own would say."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from ironforge.metrics import render
from ironforge.queue.keys import BUCKETS_MS
from ironforge.queue.readings import Histogram, Stats

_BOUNDS = [f"{ms / 1000:g}" for ms in BUCKETS_MS] + ["+Inf"]
_histograms = st.builds(
    Histogram,
    buckets=st.lists(st.integers(0, 10**9), min_size=len(_BOUNDS), max_size=len(_BOUNDS)),
    sum_ms=st.integers(0, 10**14),
)
_words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8) | st.just('a"\\b\nc')


class _Library(Collector):
    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def collect(self) -> Any:
        durations = HistogramMetricFamily("ironforge_job_duration_seconds", "x", labels=("kind", "status"))
        for labels, histogram in self._stats.durations.items():
            durations.add_metric(labels, _cumulative(histogram), histogram.sum_ms / 1000)
        waits = HistogramMetricFamily("ironforge_job_wait_time_seconds", "x", labels=("kind",))
        for kind, histogram in self._stats.waits.items():
            waits.add_metric((kind,), _cumulative(histogram), histogram.sum_ms / 1000)
        return [durations, waits]


def _cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    return [(bound, float(sum(histogram.buckets[: at + 1]))) for at, bound in enumerate(_BOUNDS)]


def _samples(text: str) -> set[tuple[str, str, float]]:
    return {
        (sample.name, str(sorted(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(text)
        if family.type == "histogram"
        for sample in family.samples
    }


@given(
    durations=st.dictionaries(st.tuples(_words, _words), _histograms, max_size=4),
    waits=st.dictionaries(_words, _histograms, max_size=4),
)
def test_every_series_is_there_with_its_value(durations: Any, waits: Any) -> None:
    stats = Stats(durations=durations, waits=waits)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Library(stats))
    wanted = _samples(generate_latest(registry).decode())
    assert _samples(render(stats, [], []).decode()) == wanted
    assert len(wanted) == (len(_BOUNDS) + 2) * (len(durations) + len(waits))
