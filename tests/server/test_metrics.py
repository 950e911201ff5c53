"""Every series of the contract, with exact labels; bounded; true whichever process did the work, after a restart too."""

from __future__ import annotations

import re
import time

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ironforge import metrics
from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.job import NewJob, Priority
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Histogram, QueueReading, Stats
from ironforge.server.app import create_app
from tests.queue.state import ERROR, Lane, dead_job, move_clock

LABELS = {
    "ironforge_jobs_submitted_total": {"kind", "priority"},
    "ironforge_jobs_completed_total": {"kind"},
    "ironforge_jobs_failed_total": {"kind"},
    "ironforge_jobs_retried_total": {"kind", "retry_count"},
    "ironforge_jobs_dlq_total": {"kind"},
    "ironforge_queue_depth": {"queue"},
    "ironforge_dlq_depth": {"queue"},
    "ironforge_active_jobs": {"queue"},
    "ironforge_job_duration_seconds_bucket": {"kind", "status", "le"},
    "ironforge_job_duration_seconds_sum": {"kind", "status"},
    "ironforge_job_duration_seconds_count": {"kind", "status"},
    "ironforge_job_wait_time_seconds_bucket": {"kind", "le"},
    "ironforge_job_wait_time_seconds_sum": {"kind"},
    "ironforge_job_wait_time_seconds_count": {"kind"},
}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def _scrape(client: httpx.AsyncClient) -> Samples:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return _samples(answer.text)


async def test_all_series_count_what_happened(
    client: httpx.AsyncClient, queue: RedisQueue, lane: Lane
) -> None:
    await dead_job(queue, lane, "f1")
    await queue.enqueue(NewJob("mail", priority=Priority.HIGH))
    (job,) = await lane.claim()
    await lane.settle(job, "retry", error_json=ERROR, delay_ms=1000, fingerprint="f")
    await move_clock(queue, 3000)
    (job,) = await lane.claim()
    await move_clock(queue, 400)
    await lane.settle(job, "completed")
    for _ in range(3):
        await queue.enqueue(NewJob("mail"))
    await lane.claim(1)
    found = await _scrape(client)
    for name, labels in LABELS.items():
        wanted = [{label for label, _ in key[1]} for key in found if key[0] == name]
        assert wanted and all(one == labels for one in wanted), name
    assert _value(found, "ironforge_jobs_submitted_total", kind="mail", priority="high") == 1
    assert _value(found, "ironforge_jobs_submitted_total", kind="mail", priority="medium") == 3
    assert _value(found, "ironforge_jobs_completed_total", kind="mail") == 1
    assert _value(found, "ironforge_jobs_failed_total", kind="mail") == 1
    assert _value(found, "ironforge_jobs_retried_total", kind="mail", retry_count="1") == 1
    assert sum(value for key, value in found.items() if key[0] == "ironforge_jobs_dlq_total") == 1
    assert _value(found, "ironforge_queue_depth", queue="default") == 2
    assert _value(found, "ironforge_dlq_depth", queue="default") == 1
    assert _value(found, "ironforge_active_jobs", queue="default") == 1
    duration = "ironforge_job_duration_seconds"
    assert _value(found, f"{duration}_count", kind="mail", status="completed") == 1
    assert 0.39 <= _value(found, f"{duration}_sum", kind="mail", status="completed") <= 2
    assert _value(found, f"{duration}_bucket", kind="mail", status="completed", le="0.25") == 0
    assert _value(found, f"{duration}_bucket", kind="mail", status="completed", le="2.5") == 1
    assert _value(found, f"{duration}_bucket", kind="mail", status="completed", le="+Inf") == 1
    assert _value(found, "ironforge_job_wait_time_seconds_count", kind="mail") == 3, "three claims"


async def test_a_restarted_server_tells_the_same(
    client: httpx.AsyncClient, queue: RedisQueue, lane: Lane, settings: Settings
) -> None:
    await dead_job(queue, lane, "f1")
    before = await _scrape(client)
    forge = Forge(settings=settings)
    transport = httpx.ASGITransport(create_app(forge))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as restarted:
        after = await _scrape(restarted)
    await forge.aclose()
    changing = "lease", "oldest"
    assert {k: v for k, v in before.items() if not any(word in k[0] for word in changing)} == {
        k: v for k, v in after.items() if not any(word in k[0] for word in changing)
    }


async def test_the_seeds_way_to_look(client: httpx.AsyncClient) -> None:
    text = (await client.get("/metrics")).text
    lines = [line for line in text.splitlines() if "ironforge" in line]
    assert len(lines) == len(text.splitlines())
    for name in LABELS:
        family = re.sub("_(bucket|sum|count)$", "", name)
        assert f"# HELP {family} " in text and f"# TYPE {family} " in text


async def test_hostile_kinds_and_queues_do_not_grow_it(client: httpx.AsyncClient, queue: RedisQueue) -> None:
    await queue.enqueue_many(
        [NewJob(f"k{at}", queue=f"q{at:03d}" if at < 300 else "default") for at in range(2000)]
    )
    began = time.perf_counter()
    found = await _scrape(client)
    assert time.perf_counter() - began < 1.5
    kinds = {dict(labels).get("kind") for name, labels in found if name == "ironforge_jobs_submitted_total"}
    assert len(kinds) == 201 and "other" in kinds
    assert _value(found, "ironforge_jobs_submitted_total", kind="other", priority="medium") == 1800
    depth = {
        dict(labels)["queue"]: value
        for (name, labels), value in found.items()
        if name == "ironforge_queue_depth"
    }
    assert len(depth) == 201 and sum(depth.values()) == 2000 and depth["other"] == 301 - 200


def test_histograms_are_cumulative_and_labels_are_escaped() -> None:
    stats = Stats()
    stats.durations["a", "completed"] = Histogram([1, 2, *[0] * 13, 4], 1234)
    stats.completed['x"\n\\'] = 1
    text = metrics.render(stats, [QueueReading("default", oldest_s=3.5)], []).decode()
    found = _samples(text)
    buckets = [_value(found, "ironforge_job_duration_seconds_bucket", kind="a", status="completed", le=le)
               for le in ("0.005", "0.01", "1800", "+Inf")]  # fmt: skip
    assert buckets == [1, 3, 3, 7]
    assert _value(found, "ironforge_job_duration_seconds_count", kind="a", status="completed") == 7
    assert _value(found, "ironforge_job_duration_seconds_sum", kind="a", status="completed") == 1.234
    assert _value(found, "ironforge_jobs_completed_total", kind='x"\n\\') == 1
    assert _value(found, "ironforge_oldest_ready_seconds", queue="default") == 3.5
