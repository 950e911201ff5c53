"""Redis loses its last writes while A runs: the delivery number runs back with it, and B is given the same one."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from random import Random
from typing import NamedTuple

from ironforge.job import NewJob
from ironforge.periodic import patiently
from ironforge.queue.backend import RedisQueue
from tests.chaos.stale import OUTCOMES, whole
from tests.queue.state import ERROR, Lane
from tests.redis_server import RedisServer


class RolledBack(NamedTuple):
    """Settlements of A, how many were refused; and under how many the delivery numbers were really the same."""

    settled: int
    refused: int
    same_number: int
    stands: int
    changed: int


async def rolled_back(server: RedisServer, jobs: int, rng: Random, namespace: str) -> RolledBack:
    """One rollback under `jobs` running jobs. The server keeps its AOF and is stopped and started."""
    async with RedisQueue(server.url, namespace, shifted_clock=True) as queue:
        ids = {job.id for job in await queue.enqueue_many([NewJob("greet") for _ in range(jobs)])}
        a, b = await Lane(queue, "a").register(), await Lane(queue, "b").register()
        kept = server.folder / "kept"
        await asyncio.to_thread(_restart, server, _keep, kept)
        await patiently(queue.health)
        mine = {job.id: job for job in await a.claim(jobs)}
        await asyncio.to_thread(_restart, server, _put_back, kept)
        await patiently(queue.health)
        theirs = {job.id: job for job in await b.claim(jobs)}
        assert set(mine) == set(theirs) == ids
        before = await whole(queue)
        words = [await a.settle(job, rng.choice(OUTCOMES), error_json=ERROR) for job in mine.values()]
        after = await whole(queue)
        before[b"stats|refused"] = b"%d" % (int(before.get(b"stats|refused", 0)) + jobs)
        settled = [await b.settle(job, "completed", result_json=b"1") for job in theirs.values()]
        same = [mine[at].fence.split(":")[0] == theirs[at].fence.split(":")[0] for at in ids]
        return RolledBack(jobs, words.count("refused"), sum(same), settled.count("ok"), int(after != before))


def _restart(server: RedisServer, meanwhile: object, kept: Path) -> None:
    server.kill()
    assert callable(meanwhile)
    meanwhile(server.folder / "appendonlydir", kept)
    server.start()


def _keep(aof: Path, kept: Path) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(aof, kept)


def _put_back(aof: Path, kept: Path) -> None:
    shutil.rmtree(aof)
    shutil.copytree(kept, aof)
