"""A full Redis refuses new jobs, finishes those it has, and takes new ones again once there is room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from ironforge.config import Settings
from ironforge.errors import StoreFull
from ironforge.forge import Forge
from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.producing import BATCH
from ironforge.queue.readings import WorkerInfo
from tests.durability.servers import EVERYSEC, Server, both_servers, server
from tests.queue.state import Lane, check_books, dead_job
from tests.server.conftest import Served
from tests.system.bench import Bench
from tests.waiting import eventually

ROOM = 1_500_000
PADDING = "x" * 2_000


@pytest.fixture
def redis(binary: str) -> Iterator[Server]:
    with server(*EVERYSEC, binary=binary) as started:
        yield started


@pytest.fixture
async def queue(redis: Server, namespace: str) -> AsyncIterator[RedisQueue]:
    async with RedisQueue(redis.url, namespace) as opened:
        yield opened


def _limit(redis: Server, room: int) -> None:
    with redis.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + room)


async def _fill(queue: RedisQueue, kind: str = "padded") -> list[Job]:
    """Submits until it is refused."""
    jobs: list[Job] = []
    with pytest.raises(StoreFull):
        while True:
            payload = b'{"mark":%d,"padding":"%s"}' % (len(jobs), PADDING.encode())
            jobs.append(await queue.enqueue(NewJob(kind, payload, retention_ms=100)))
    return jobs


@both_servers()
async def test_it_drains_and_takes_jobs_again(
    redis: Server, queue: RedisQueue, namespace: str, tmp_path: Path
) -> None:
    bench = Bench(redis.url, namespace, tmp_path)
    forge = Forge(settings=Settings(redis_url=redis.url, namespace=namespace))
    served = Served(forge)  # it promotes, reaps and trims
    try:
        async with httpx.AsyncClient(base_url=served.url, timeout=10) as http:
            _limit(redis, ROOM)
            jobs = await _fill(queue)
            assert len(jobs) > 100
            answers = [
                await http.post("/jobs", json={"kind": "padded", "payload": {"padding": PADDING}}),
                await http.post(
                    "/jobs/batch", json={"jobs": [{"kind": "padded", "payload": {"padding": PADDING}}] * 20}
                ),
            ]
            for answer in answers:
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert answer.json()["type"] == "redis_full"
            health = (await http.get("/health")).json()
            assert any("full: " in warning for warning in health["warnings"])

            bench.worker("--concurrency", "4", target="tests.durability.tasks:forge")

            async def accepted() -> bool:
                answer = await http.post("/jobs", json={"kind": "padded", "payload": {"padding": PADDING}})
                return answer.status_code == 201

            await eventually(accepted, 30, "retention made room, and jobs are taken again")
            ran = {int(line[1]) for line in bench.lines("ran")}
            await eventually(
                lambda: {int(line[1]) for line in bench.lines("ran")} >= set(range(len(jobs))), 30
            )
            assert ran, "it was room made by jobs that ran"
    finally:
        bench.close()
        await served.stop()
        await forge.aclose()
    assert sum((await queue.read_stats()).completed.values()) >= len(jobs), "every accepted job completed"
    await check_books(queue)


@both_servers()
async def test_everything_but_a_new_job_is_taken(redis: Server, queue: RedisQueue) -> None:
    lane = await Lane(queue, queues=("default",)).register(3_600_000)
    dead, other = await dead_job(queue, lane), await dead_job(queue, lane)
    later = await queue.enqueue(NewJob("greet", delay_ms=3_600_000))
    await queue.enqueue_many([NewJob("greet") for _ in range(4)])
    running = await lane.claim(4)
    _limit(redis, -200_000)
    with pytest.raises(StoreFull):
        await queue.enqueue(NewJob("greet"))
    with pytest.raises(StoreFull):
        await queue.submit(NewJob("greet"), "key", "hash")
    result = b'"' + b"r" * 20_000 + b'"'
    assert await lane.settle(running[0], "completed", result_json=result) == "ok"
    assert await lane.settle(running[1], "retry", delay_ms=10_000, error_json="{}") == "ok"
    assert await lane.settle(running[2], "released") == "ok"
    assert (await queue.cancel(running[3].id))[1] == "requested"
    assert await lane.settle(running[3], "cancelled") == "ok"
    assert (await queue.retry(dead.id)).status is JobStatus.QUEUED
    assert (await queue.run_now(later.id)).status is JobStatus.QUEUED
    await queue.delete(other.id)
    await queue.pause("default")
    await queue.resume("default")
    assert await queue.renew("w1") == ["ok"] and (await queue.beat("w1", {"state": "running"})).word == "ok"
    assert len(await lane.claim(5)) == 3
    assert await queue.lock_acquire("door", "token", 1_000)
    assert [await queue.take_tick(duty, 900) for duty in ("promote", "reap", "trim")] == [True, True, True]
    assert await queue.register("w2", _about()) and await queue.deregister("w2") == "ok"
    assert (await queue.read_queue("default")).dead == 0
    await check_books(queue)


def _about() -> WorkerInfo:
    return WorkerInfo("host", 1, 1, "0.1.0", ("default",), 1)


@both_servers()
async def test_no_job_is_half_made(redis: Server, queue: RedisQueue) -> None:
    """A batch that begins with room and ends without: each script call is whole or absent."""
    _limit(redis, 700_000)
    with pytest.raises(StoreFull):
        await queue.enqueue_many([NewJob("greet", b'{"p":"%s"}' % PADDING.encode()) for _ in range(2_000)])
    await check_books(queue)
    assert (await queue.read_queue("default")).queued % BATCH == 0
