"""Does it get slower as it fills? `python -m benchmarks.growth [--jobs 1000000] [--json FILE]`. Needs redis-server.

Enqueue and claim at 1,000 and at a million queued jobs; at 1, 10 and 100 queues; list pages at both ends; a claim with 64
workers registered and beating beside one. Latencies are those of one caller at a time, seen by the caller, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import quantile, redis_server
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter, Settlement, Turn, WorkerInfo

SAMPLES = 1_000
WORKERS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with redis_server() as (url, _):
        results = asyncio.run(_measure(url, chosen.jobs))
    print(json.dumps(results, indent=1))
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1))


async def _measure(url: str, jobs: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for size in (1_000, jobs):
        async with RedisQueue(url, f"size-{size}") as queue:
            before = (await queue.health()).used_memory
            await _fill(queue, size, ["default"])
            grown = (await queue.health()).used_memory - before
            results[f"queued_{size}"] = {
                "bytes_per_job": round(grown / size),
                **await _latencies(queue, ("default",)),
                "first_page": await _timed(
                    lambda q=queue: q.list_jobs(JobFilter(status=JobStatus.QUEUED)), 200
                ),
                "later_page": await _later_page(queue),
            }
            await queue.remove_namespace()
    for queues in (1, 10, 100):
        names = tuple(f"q{at}" for at in range(queues))
        async with RedisQueue(url, f"queues-{queues}") as queue:
            await _fill(queue, 10_000, list(names))
            results[f"queues_{queues}"] = await _latencies(queue, names)
            await queue.remove_namespace()
    async with RedisQueue(url, "workers") as queue:
        await _fill(queue, 10_000, ["default"])
        results["workers_1"] = await _latencies(queue, ("default",))
        for at in range(WORKERS):
            await queue.register(f"w{at}", _info(), lease_ms=600_000)
        results[f"workers_{WORKERS}"] = await _latencies(queue, ("default",))
        await queue.remove_namespace()
    large, small = results[f"queued_{jobs}"], results["queued_1000"]
    results["p99_ratio"] = {
        name: round(large[name]["p99"] / small[name]["p99"], 2) for name in ("enqueue", "claim", "later_page")
    }
    return results


async def _fill(queue: RedisQueue, size: int, names: list[str]) -> None:
    for at in range(0, size, 5_000):
        count = min(5_000, size - at)
        await queue.enqueue_many([NewJob("noop", queue=names[n % len(names)]) for n in range(count)])


async def _latencies(queue: RedisQueue, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    await queue.register("bench", _info(), lease_ms=600_000)
    number = 0

    async def enqueue() -> None:
        await queue.enqueue(NewJob("noop", queue=names[0]))

    async def claim() -> None:
        nonlocal number, held
        number += 1
        held = (await queue.turn(Turn("bench", 0, f"{number:x}.bench", 1, names))).jobs

    async def settle() -> None:
        ends = [Settlement(job.id, job.fence, "completed") for job in held]
        await queue.turn(Turn("bench", 0, "", 0, names, ends))

    held: Any = []
    enqueued = await _timed(enqueue, SAMPLES)
    claims: list[float] = []
    for _ in range(SAMPLES):
        began = time.perf_counter()
        await claim()
        claims.append((time.perf_counter() - began) * 1000)
        await settle()
    return {"enqueue": enqueued, "claim": _told(claims)}


async def _later_page(queue: RedisQueue) -> dict[str, float]:
    """A page as far in as there are jobs: its cursor is made of the last job there is."""
    cursor: str | None = None
    took: list[float] = []
    for _ in range(100):
        began = time.perf_counter()
        page = await queue.list_jobs(JobFilter(status=JobStatus.QUEUED), cursor)
        took.append((time.perf_counter() - began) * 1000)
        cursor = page.next_cursor
        if cursor is None:
            break
    return _told(took)


async def _timed(call: Callable[[], Awaitable[object]], samples: int) -> dict[str, float]:
    took: list[float] = []
    for _ in range(samples):
        began = time.perf_counter()
        await call()
        took.append((time.perf_counter() - began) * 1000)
    return _told(took)


def _told(took: list[float]) -> dict[str, float]:
    return {"p50": round(quantile(took, 0.5), 3), "p99": round(quantile(took, 0.99), 3)}


def _info() -> WorkerInfo:
    return WorkerInfo("bench", 1, 1, "0", ("default",), 10)


if __name__ == "__main__":
    main()
