"""Queues, statistics, groups, workers and tasks as they are told; batches."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from ironforge import schemas
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import BUCKETS_MS
from ironforge.server.documents import innermost_line, quantile_s
from ironforge.server.limits import MAX_BATCH_BODY
from tests.queue.state import ERROR, Lane, dead_job


async def test_a_new_namespace_has_default_and_nothing_else(client: httpx.AsyncClient) -> None:
    (only,) = schemas.Queues.model_validate_json((await client.get("/queues")).content).queues
    assert (only.name, only.queue_depth, only.paused, only.oldest_s, only.eta_s) == (
        "default",
        0,
        False,
        None,
        None,
    )
    assert only.spark == [0.0] * 30
    stats = (await client.get("/queues/stats")).json()
    assert list(stats)[:3] == ["queue_depth", "dlq_depth", "active_jobs"]
    assert [stats["queue_depth"], stats["dlq_depth"], stats["active_jobs"], stats["wait_p99_s"]] == [
        0,
        0,
        0,
        None,
    ]


async def test_statistics_add_up(client: httpx.AsyncClient, queue: RedisQueue, lane: Lane) -> None:
    await dead_job(queue, lane, "f1")
    for kind in ("a", "b", "c", "d"):
        await queue.enqueue(NewJob(kind))
    await queue.enqueue(NewJob("later", delay_ms=60_000, queue="mail"))
    done, failed, running = await lane.claim(3)
    await lane.settle(done, "completed")
    await lane.settle(failed, "retry", error_json=ERROR, delay_ms=60_000, fingerprint="f")
    stats = schemas.Stats.model_validate_json((await client.get("/queues/stats")).content)
    assert (stats.queue_depth, stats.dlq_depth, stats.active_jobs) == (1, 1, 1)
    assert (stats.scheduled, stats.retrying, stats.completed, stats.submitted) == (1, 1, 1, 6)
    assert stats.failed == 2, "the dead one's attempt and the one that is retried"
    assert (stats.workers, stats.slots) == (1, 10)
    assert stats.throughput > 0 and stats.failing > 0 and stats.wait_p50_s is not None
    by_name = {
        one.name: one
        for one in schemas.Queues.model_validate_json((await client.get("/queues")).content).queues
    }
    assert set(by_name) == {"default", "mail"}
    default = by_name["default"]
    assert (default.queued, default.running, default.retrying, default.dead, default.completed) == (
        1,
        1,
        1,
        1,
        1,
    )
    assert (default.workers, by_name["mail"].workers, by_name["mail"].scheduled) == (1, 0, 1)
    assert default.spark[-1] + default.spark[-2] > 0 and len(default.spark) == 30
    await lane.settle(running, "completed")


async def test_pause_and_resume(client: httpx.AsyncClient, queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("a"))
    paused = schemas.Queue.model_validate_json((await client.post("/queues/default/pause")).content)
    assert paused.paused and paused.paused_at is not None and paused.queue_depth == 1
    assert await lane.claim() == []
    resumed = (await client.post("/queues/default/resume")).json()
    assert (resumed["paused"], resumed["paused_at"]) == (False, None)
    assert len(await lane.claim()) == 1
    for name in ("nope", "UP", "a" * 65):
        answer = await client.post(f"/queues/{name}/pause")
        assert (answer.status_code, answer.json()["type"]) == (404, "queue_not_found")
    keyed = {"Idempotency-Key": "p1"}
    assert (await client.post("/queues/default/pause", headers=keyed)).status_code == 200
    assert (await client.post("/queues/default/resume")).json()["paused"] is False
    assert (await client.post("/queues/default/pause", headers=keyed)).json()["paused"] is False, (
        "its effect was had"
    )
    assert (await client.post("/queues/default/resume", headers=keyed)).status_code == 409


async def test_groups(client: httpx.AsyncClient, queue: RedisQueue, lane: Lane) -> None:
    last = [await dead_job(queue, lane, fingerprint) for fingerprint in ("f1", "f1", "f2")]
    page = schemas.Groups.model_validate_json((await client.get("/dlq/groups", params={"limit": 1})).content)
    (group,) = page.groups
    assert (group.fingerprint, group.count, group.error_type, group.queue) == (
        "f1",
        2,
        "ValueError",
        "default",
    )
    assert (group.sample_id, page.total, page.next_cursor) == (last[1].id, 2, "1")
    rest = (await client.get("/dlq/groups", params={"cursor": page.next_cursor})).json()
    assert [one["fingerprint"] for one in rest["groups"]] == ["f2"] and rest["next_cursor"] is None
    for query in ("cursor=-1", "cursor=x", "limit=0", "limit=1000"):
        assert (await client.get(f"/dlq/groups?{query}")).status_code == 422


async def test_workers_and_tasks(client: httpx.AsyncClient, queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    running = [{"id": job.id, "kind": "greet", "queue": "default", "started_ms": job.started_ms, "slot": 0}]
    await queue.progress(job.id, job.fence, '{"pct": 40}')
    beat = {
        "cpu_pct": "12.5",
        "rss_bytes": "1000",
        "running": json.dumps(running),
        "done": "3",
        "failed": "1",
    }
    await queue.beat("w1", {**beat, "state": "running", "blocked": ""})
    (worker,) = schemas.Workers.model_validate_json((await client.get("/workers")).content).workers
    assert (worker.id, worker.host, worker.concurrency, worker.state, worker.busy) == (
        "w1",
        "host",
        10,
        "running",
        1,
    )
    assert (worker.cpu_pct, worker.rss_bytes, worker.done, worker.failed) == (12.5, 1000, 3, 1)
    assert worker.running[0].id == job.id and worker.running[0].progress == {"pct": 40}
    assert 0 < worker.lease_s <= 15 and worker.kinds == ["greet"]
    await queue.beat("w1", {"running": "[1]", "cpu_pct": "x", "blocked": '{"job_id": "j", "since_s": 9}'})
    (worker,) = schemas.Workers.model_validate_json((await client.get("/workers")).content).workers
    assert worker.running == [] and worker.cpu_pct is None and worker.blocked == {"job_id": "j", "since_s": 9}
    (task,) = schemas.Tasks.model_validate_json((await client.get("/tasks")).content).tasks
    assert (task.kind, task.workers, task.queues, task.timeout_s) == ("greet", 1, ["default"], 30)
    assert (await client.get("/tasks")).json()["tasks"][0]["schema"] == {}


async def test_a_batch_keeps_order_and_refuses_one_by_one(
    client: httpx.AsyncClient, queue: RedisQueue, lane: Lane
) -> None:
    body = (
        b'{"jobs": [{"kind": "a", "payload": { "n": 9007199254740993 }}, {"kind": "B"}, {"kind": "c", "payload": {"x": NaN}},'
        b' 7, {"kind": "d", "priority": "critical", "delay_s": 0}]}'
    )
    answer = await client.post("/jobs/batch", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201
    found = schemas.BatchOut.model_validate_json(answer.content)
    assert [bool(one) for one in found.ids] == [True, False, False, False, True]
    assert [(error.index, error.pointer) for error in found.errors] == [
        (1, "/kind"),
        (2, "/payload/x"),
        (3, ""),
    ]
    claimed = await lane.claim(5)
    assert [job.id for job in claimed] == [found.ids[4], found.ids[0]]
    assert claimed[1].payload_json == b'{ "n": 9007199254740993 }'


async def test_a_batch_of_ten_thousand(client: httpx.AsyncClient, queue: RedisQueue) -> None:
    jobs = [{"kind": "a", "payload": {"n": at}} for at in range(10_000)]
    answer = await client.post("/jobs/batch", json={"jobs": jobs})
    ids = answer.json()["ids"]
    assert answer.status_code == 201 and len(set(ids)) == 10_000 and not answer.json()["errors"]
    page = await queue.list_jobs(_queued(), None, 200)
    assert [job.id for job in page.jobs] == ids[:200] and page.total == 10_000


def _queued() -> Any:
    from ironforge.queue.readings import JobFilter

    return JobFilter(status=JobStatus.QUEUED)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"jobs": ' + b"[" + b"{}," * 10_000 + b"{}]}", 422),
        (b'{"jobs": {}}', 422),
        (b'{"jobs": [], "x": 1}', 422),
        (b'{"job": []}', 422),
        (b"{}", 422),
        (b'{"jobs": []}', 201),
        (b'{"jobs": ["' + b"x" * MAX_BATCH_BODY + b'"]}', 413),
    ],
    ids=["many", "object", "unknown", "other", "none", "empty", "large"],
)
async def test_batches_at_the_edge(
    client: httpx.AsyncClient, queue: RedisQueue, body: bytes, status: int
) -> None:
    answer = await client.post("/jobs/batch", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text[:200]
    assert not await queue.client.exists(queue.keys.queues)


async def test_a_large_payload_in_a_batch_is_refused_alone(client: httpx.AsyncClient) -> None:
    jobs = [{"kind": "a", "payload": {"x": "x" * 300_000}}, {"kind": "b"}]
    found = (await client.post("/jobs/batch", json={"jobs": jobs})).json()
    assert found["ids"][0] is None and found["ids"][1] and found["errors"][0]["pointer"] == "/payload"


async def test_keys_in_a_batch(client: httpx.AsyncClient, queue: RedisQueue) -> None:
    jobs: list[dict[str, Any]] = [{"kind": "a", "idempotency_key": "k1"}, {"kind": "b"}]
    first, second = [(await client.post("/jobs/batch", json={"jobs": jobs})).json() for _ in range(2)]
    assert first["ids"][0] == second["ids"][0] and first["ids"][1] != second["ids"][1]
    jobs[0]["kind"] = "other"
    third = (await client.post("/jobs/batch", json={"jobs": jobs})).json()
    assert third["ids"][0] is None and third["errors"][0]["pointer"] == "/idempotency_key"
    assert (await queue.read_queue("default")).queued == 4


async def test_a_key_for_a_whole_batch(client: httpx.AsyncClient, queue: RedisQueue) -> None:
    jobs = [{"kind": "a"}, {"kind": "UP"}, {"kind": "b"}]
    headers = {"Idempotency-Key": "batch-1"}
    first, second = [
        (await client.post("/jobs/batch", json={"jobs": jobs}, headers=headers)).json() for _ in range(2)
    ]
    assert first == second and [bool(one) for one in first["ids"]] == [True, False, True]
    other = await client.post("/jobs/batch", json={"jobs": jobs[:1]}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (409, "idempotency_conflict")
    assert (await queue.read_queue("default")).queued == 2


def test_quantiles() -> None:
    empty = [0] * (len(BUCKETS_MS) + 1)
    assert quantile_s(empty, 0.5) is None
    one = [*empty]
    one[4] = 10  # 50 to 100 ms
    assert quantile_s(one, 0.5) == 0.075
    assert quantile_s(one, 1.0) == 0.1
    late = [*empty]
    late[-1] = 1
    assert quantile_s(late, 0.99) == BUCKETS_MS[-1] / 1000


def test_the_line_that_failed() -> None:
    traceback = (
        'Traceback (most recent call last):\n  File "/app/shop.py", line 88, in charge\n    post()\n'
        '  File "/usr/lib/python3.11/json/__init__.py", line 5, in loads\n    x\nValueError: no\n'
    )
    assert innermost_line(traceback) == "/app/shop.py:88 charge"
    assert innermost_line("nothing") == ""
