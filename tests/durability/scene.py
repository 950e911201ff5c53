"""A private server, a queue on it, workers as processes, and somebody who submits."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from ironforge.config import Settings
from ironforge.errors import StoreUnavailable
from ironforge.forge import Forge
from ironforge.job import JobStatus
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from tests.durability.servers import Server
from tests.server.conftest import Served
from tests.system.bench import Bench
from tests.waiting import eventually

TARGET = "tests.durability.tasks:forge"


class Scene(NamedTuple):
    redis: Server
    queue: RedisQueue
    bench: Bench
    http: httpx.AsyncClient

    def worker(self, *words: str) -> subprocess.Popen[bytes]:
        """Its supervisor, ready."""
        return self.bench.worker("--concurrency", "4", *words, target=TARGET)

    async def completed(self, job_ids: list[str], timeout_s: float = 30) -> None:
        """Until all of these jobs completed."""

        async def all_completed() -> bool:
            try:
                found = await self.queue.get_many(job_ids)
            except StoreUnavailable:  # not back yet
                return False
            return all(job and job.status is JobStatus.COMPLETED for job in found)

        await eventually(all_completed, timeout_s, f"{len(job_ids)} accepted jobs complete")

    async def is_well(self) -> None:
        """The auditor finds nothing, and no worker stumbled."""
        found = await audit(self.queue)
        assert not found.findings, found.findings[:5]
        for log in self.bench.folder.glob("w*.log"):
            assert "Traceback" not in log.read_text(), log.read_text()[-3_000:]

    async def lapses(self) -> int:
        """Leases that ran out."""
        return (await self.queue.read_stats()).others.get("workers_lapsed", 0)

    async def attention(self) -> set[tuple[str, str]]:
        found = (await self.http.get("/queues/stats")).json()["attention"]
        return {(one["rule"], one["severity"]) for one in found}


@asynccontextmanager
async def scene(redis: Server, folder: Path, *, durability: str = "local") -> AsyncIterator[Scene]:
    """Workers are ended with it; the server is the caller's."""
    name = "scene"
    bench = Bench(redis.url, name, folder)
    forge = Forge(settings=Settings(redis_url=redis.url, namespace=name, durability=durability))
    served = Served(forge)
    try:
        async with (
            RedisQueue(redis.url, name, durability=durability) as queue,
            httpx.AsyncClient(base_url=served.url, timeout=10) as http,
        ):
            try:
                yield Scene(redis, queue, bench, http)
            finally:
                bench.close()
    finally:
        await served.stop()
        await forge.aclose()
