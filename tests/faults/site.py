"""Real workers on the far side of a proxy, and the means to see from the near side what became of their jobs."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from tests.chaos.arena import tree_of
from tests.faults.proxy import FaultProxy
from tests.redis_server import RedisServer, private_redis
from tests.system.bench import Bench, ended
from tests.waiting import eventually

TARGET = "tests.faults.hungry_tasks:forge"


@dataclass(slots=True)
class Site:
    """One namespace. `bench` starts what lives behind the proxy, `near` what does not; both write one ledger.

    No call here blocks the loop for long: the proxy turns in it.
    """

    server: RedisServer
    proxy: FaultProxy
    bench: Bench
    near: Bench
    direct: RedisQueue

    async def worker(self, *words: str, near: bool = False) -> int:
        """A worker that is ready; its process id."""
        bench = self.near if near else self.bench
        process = bench.worker(*words, target=TARGET, ready=False)
        log = bench.log
        number = len(list(bench.folder.glob("w*.log")))
        await eventually(lambda: "worker ready" in log(number), 30, "a worker is ready")
        return process.pid

    async def naps(self, count: int, s: float, queue: str = "default") -> list[Job]:
        return await self.direct.enqueue_many(
            [NewJob("net.nap", b'{"s":%.3f}' % s, queue) for _ in range(count)]
        )

    def starts(self) -> int:
        return len(self.bench.lines("start"))

    def ends(self) -> list[float]:
        """When runs ended, by the handlers' own clock, which is this process's too."""
        return sorted(float(line[3]) for line in self.bench.lines("end"))

    async def all_completed(self, jobs: Sequence[Job], timeout_s: float) -> list[Job]:
        """The jobs at their end. AssertionError for one that did not complete."""
        found = await ended(self.direct, list(jobs), timeout_s)
        assert len(found) == len(jobs), f"{len(jobs) - len(found)} jobs are gone"
        wrong = [job for job in found if job.status is not JobStatus.COMPLETED]
        assert not wrong, wrong[:3]
        return found

    async def findings(self) -> list[str]:
        return [f"{one.rule}: {one.subject} {one.detail}" for one in (await audit(self.direct)).findings]

    def longest_pause_s(self, since: float, until: float | None = None) -> float:
        """Between two ends of runs after an instant, and from it to the first; up to `until` while work goes on."""
        ends = [since, *(at for at in self.ends() if at > since), *((until,) if until else ())]
        return max((b - a for a, b in itertools.pairwise(ends)), default=0.0)

    def rss_bytes(self, pid: int) -> int:
        """Of a process and all below it, without what they share being counted twice."""
        total = 0
        for one in tree_of(pid):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def descriptors(self, pid: int) -> int:
        return sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in tree_of(pid))


def runs_again(jobs: Sequence[Job]) -> int:
    """Attempts beyond each job's first."""
    return sum(len(job.attempts) - 1 for job in jobs)


@asynccontextmanager
async def site(binary: Path, folder: Path, name: str) -> AsyncGenerator[Site]:
    """Everything that was started is ended with it."""
    far, near = folder / f"{name}-far", folder / f"{name}-near"
    far.mkdir()
    near.mkdir()
    with private_redis(binary=binary) as server:
        async with FaultProxy(server.url) as proxy, RedisQueue(server.url, name) as direct:
            bench, other = Bench(proxy.url, name, far), Bench(server.url, name, near)
            other.env["LEDGER"] = str(bench.ledger)
            try:
                yield Site(server, proxy, bench, other, direct)
            finally:
                # In a thread: on their way out workers speak through the proxy.
                await asyncio.to_thread(bench.close)
                await asyncio.to_thread(other.close)


def now() -> float:
    return time.monotonic()
