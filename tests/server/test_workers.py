"""GET /workers: what they run, and a progress that was written by hand."""

from __future__ import annotations

import json

import httpx

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane


async def test_what_a_worker_runs_and_how_far_it_is(
    client: httpx.AsyncClient, queue: RedisQueue, lane: Lane
) -> None:
    for _ in range(2):
        await queue.enqueue(NewJob("greet"))
    told, broken = await lane.claim(2)
    await queue.progress(told.id, told.fence, '{"pct": 7}')
    shard = await queue.of_job(broken.id)
    await shard.client.execute_command("HSET", shard.keys.job(broken.id), "progress", '{"pct": ')
    running = [
        {"id": job.id, "kind": "greet", "queue": "default", "started_ms": job.started_ms, "slot": slot}
        for slot, job in enumerate((told, broken))
    ]
    await queue.beat("w1", {"running": json.dumps(running), "state": "running"})
    answer = await client.get("/workers")
    assert answer.status_code == 200
    (worker,) = answer.json()["workers"]
    shown = {job["id"]: job["progress"] for job in worker["running"]}
    assert shown == {told.id: {"pct": 7}, broken.id: None}
