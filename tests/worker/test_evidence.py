"""What is known of a process that died: on the attempts of its jobs, and on the worker that took its place, over HTTP."""

from __future__ import annotations

import os
import signal

import httpx

from ironforge import Forge
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.server.app import create_app
from tests.system.bench import Bench, ended
from tests.system.processes import children_of
from tests.waiting import eventually


async def test_a_death_is_told_over_http(queue: RedisQueue, bench: Bench, redis_url: str) -> None:
    supervisor = bench.worker("--concurrency", "2")
    job = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":2}'))
    await eventually(lambda: bench.lines("start"), 15, "it runs")
    (child,) = children_of(supervisor.pid)
    (worker,) = await queue.workers()
    os.kill(child, signal.SIGKILL)
    await ended(queue, [job])
    forge = Forge(redis_url, namespace=queue.namespace)
    transport = httpx.ASGITransport(create_app(forge), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        shown = (await client.get(f"/jobs/{job.id}")).json()
        (successor,) = (await client.get("/workers")).json()["workers"]
    await forge.aclose()
    crashed, completed = shown["attempts"]
    assert (crashed["outcome"], completed["outcome"], shown["crashes"]) == ("crashed", "completed", 1)
    assert crashed["worker"] == worker.id and crashed["error"]["type"] == "WorkerCrashed"
    for part in ("signal SIGKILL", f"pid {child}", "rss bytes", "jobs at once 1"):
        assert part in crashed["error"]["message"], part
    last = successor["last_crash"]
    assert (last["worker"], last["pid"], last["jobs"]) == (worker.id, child, [job.id])
    assert (last["signal"], last["exit_code"], last["ended"]) == ("SIGKILL", None, "signal SIGKILL")
    assert last["rss_bytes"] > 20_000_000, "the most it had, as the kernel counted it"


async def test_an_exit_code_is_told(queue: RedisQueue, bench: Bench) -> None:
    bench.worker(target="tests.worker.hard_tasks:forge")
    job = await queue.enqueue(NewJob("leaves", b'{"code":9}'))
    (dead,) = await ended(queue, [job], 20)
    assert dead.last_error and "exit code 9" in dead.last_error.message

    async def told() -> dict[str, object] | None:
        crashes = [worker.last_crash for worker in await queue.workers()]
        return crashes[0] if crashes and crashes[0] else None

    last = await eventually(told, 10)
    assert last and (last["exit_code"], last["signal"], last["jobs"]) == (9, None, [job.id])
