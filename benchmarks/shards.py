"""Shards on a Cluster: `python -m benchmarks.shards [--shards 12] [--jobs 60000]`. Needs redis-server.

Three masters on this machine. How evenly the jobs of many queues lie on them, what each spends, and what one worker drains
beside the same namespace unsplit. On a machine of two cores the three share what one would have for itself: what is
measured is the cost per job, and that it is spread; how far it scales is computed from that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import cpu_us
from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.job import NewJob
from ironforge.queue.keys import shard_of_name
from ironforge.queue.readings import WorkerInfo
from ironforge.worker.crew import Crew, CrewOptions
from tests.forms.nodes import Cluster

CONCURRENCY = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=60_000)
    parser.add_argument("--redis-server", default="redis-server")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="if-bench-") as folder:
        cluster = Cluster(Path(folder), chosen.redis_server).start()
        try:
            results = [
                asyncio.run(_measure(cluster, shards, chosen.jobs)) for shards in (1, 3, chosen.shards)
            ]
        finally:
            cluster.stop()
    print(json.dumps(results, indent=1))


async def _measure(cluster: Cluster, shards: int, jobs: int) -> dict[str, Any]:
    names = _one_queue_each(shards)
    ran = 0
    forge = Forge(settings=Settings(redis_url=cluster.url, namespace=f"shards-{shards}", shards=shards))

    @forge.task("noop")
    async def noop() -> None:  # pyright: ignore[reportUnusedFunction]
        nonlocal ran
        ran += 1

    queue = await forge.connect()
    masters = cluster.masters()
    pids = {node.port: node.process.pid for node in masters if node.process}
    before = {port: cpu_us(pid) for port, pid in pids.items()}
    began = time.perf_counter()
    for at in range(0, jobs, 3_000):
        await queue.enqueue_many(
            [NewJob("noop", queue=names[n % shards]) for n in range(min(3_000, jobs - at))]
        )
    submitted_s = time.perf_counter() - began
    await queue.register("bench", WorkerInfo("bench", 1, 1, "0", tuple(names), CONCURRENCY), lease_ms=600_000)
    crew = Crew(queue, "bench", forge.tasks, CrewOptions(CONCURRENCY, queues=tuple(names)))
    began = time.perf_counter()
    serving = asyncio.create_task(crew.serve())
    while ran < jobs:
        await asyncio.sleep(0.01)
    drained_s = time.perf_counter() - began
    crew.stop()
    await serving
    spent = {port: cpu_us(pid) - before[port] for port, pid in pids.items()}
    total = sum(spent.values())
    await queue.remove_namespace()
    await forge.aclose()
    return {
        "shards": shards,
        "submit_per_s": round(jobs / submitted_s),
        "drain_per_s": round(jobs / drained_s),
        "redis_us_per_job": round(total / jobs, 1),
        "share_of_each_master": sorted((round(one / total, 3) for one in spent.values()), reverse=True),
        "most_a_master_us_per_job": round(max(spent.values()) / jobs, 1),
    }


def _one_queue_each(shards: int) -> list[str]:
    found: dict[int, str] = {}
    number = 0
    while len(found) < shards:
        found.setdefault(shard_of_name(f"q{number}", shards), f"q{number}")
        number += 1
    return [found[shard] for shard in range(shards)]


if __name__ == "__main__":
    main()
