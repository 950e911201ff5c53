"""Zombies that are real: worker processes stopped past their lease, and continued when others run their jobs."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.working import LEASE_MS
from tests.chaos.fleet import Fleet, Group
from tests.chaos.ledger import Ledger
from tests.chaos.pacing import during
from tests.system.processes import is_alive
from tests.waiting import eventually

LEASE_S = LEASE_MS / 1000


@dataclass(slots=True)
class FrozenTally:
    """`tried`: settlements of zombies that Redis refused; the others ended before they could send one."""

    rounds: int = 0
    unharmed: int = 0
    stands: int = 0
    tried: int = 0
    late: int = 0
    late_accepted: int = 0

    def __add__(self, other: FrozenTally) -> FrozenTally:
        return FrozenTally(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )


class Stage:
    """A namespace with its own ledger; the workers of each side wait at a gate of their own."""

    def __init__(self, queue: RedisQueue, folder: Path) -> None:
        folder.mkdir()
        self.queue = queue
        self.folder = folder
        self.ledger = Ledger(folder / "ledger")
        self._fleets: list[Fleet] = []

    def fleet(self, side: str, *words: str) -> Fleet:
        folder = self.folder / side
        folder.mkdir()
        url, namespace = self.queue.url, self.queue.namespace
        fleet = Fleet(url, namespace, folder, self.ledger, words, GATE=str(self.gate(side)))
        self._fleets.append(fleet)
        return fleet

    def gate(self, side: str) -> Path:
        return self.folder / f"{side}.gate"

    async def runs(self, jobs: Sequence[Job], times: int) -> None:
        """Until each of them has begun so many times."""

        def begun() -> bool:
            self.ledger.read()
            return all(len(self.ledger.executions.get(job.id, ())) >= times for job in jobs)

        await eventually(begun, 120, f"{len(jobs)} jobs began {times} times")

    async def found(self, jobs: Sequence[Job]) -> list[Job]:
        return [await self.queue.get(job.id) for job in jobs]

    async def completed(self, jobs: Sequence[Job]) -> list[Job]:
        async def all_completed() -> list[Job]:
            found = await self.found(jobs)
            return found if all(job.status is JobStatus.COMPLETED for job in found) else []

        return await eventually(all_completed, 60, "all completed")

    def close(self) -> None:
        for side in ("a", "b"):
            self.gate(side).touch()
        for fleet in self._fleets:
            fleet.close()


async def reclaimed(url: str, namespace: str, folder: Path, groups: int, slots: int) -> FrozenTally:
    """A's jobs are run by B, and still run there when A wakes up and finishes them."""
    words = ("--concurrency", str(slots), "--shutdown-timeout", "5")
    async with RedisQueue(url, namespace) as queue:
        stage = Stage(queue, folder)
        try:
            a, b = stage.fleet("a", *words), stage.fleet("b", *words)
            sides = [a.start() for _ in range(groups)]
            jobs = await queue.enqueue_many([NewJob("chaos.gate") for _ in range(groups * slots)])
            await stage.runs(jobs, 1)
            for _ in range(groups):
                b.start()
            await _registered(queue, 2 * groups)
            zombies = _signal(sides, signal.SIGSTOP)
            await stage.runs(jobs, 2)
            return await _wake(stage, jobs, sides, zombies)
        finally:
            stage.close()


async def _wake(
    stage: Stage, jobs: Sequence[Job], sides: Sequence[Group], zombies: Sequence[int]
) -> FrozenTally:
    async def told() -> dict[str, str]:
        found = await stage.found(jobs)
        said = all(job.progress and job.progress["fence"] == job.fence for job in found)
        return {job.id: job.fence for job in found} if said else {}

    holders = await eventually(told, 30, "B said that it runs them")
    stage.gate("a").touch()
    _signal(sides, signal.SIGCONT)
    supervisors = {group.pid for group in sides}
    children = [pid for pid in zombies if pid not in supervisors]
    await eventually(lambda: not any(map(is_alive, children)), 60, "the zombies learnt that they are gone")
    tally = FrozenTally(rounds=len(jobs))
    for job in await stage.found(jobs):
        ours = (JobStatus.RUNNING, holders[job.id], {"fence": holders[job.id]})
        tally.unharmed += (job.status, job.fence, job.progress) == ours
    stage.gate("b").touch()
    for job in await stage.completed(jobs):
        outcomes = [attempt.outcome for attempt in job.attempts]
        tally.stands += job.result == holders[job.id] and outcomes == ["lapsed", "completed"]
    tally.tried = (await stage.queue.read_stats()).others.get("refused", 0)
    return tally


async def unclaimed(url: str, namespace: str, folder: Path, jobs: int) -> FrozenTally:
    """Everybody stands still past the lease. Nobody took anything meanwhile, so what they finish counts."""
    async with RedisQueue(url, namespace) as queue:
        stage = Stage(queue, folder)
        try:
            fleet = stage.fleet("a", "--processes", "2", "--concurrency", str(-(-jobs // 2)))
            group = fleet.start()
            waiting = await queue.enqueue_many([NewJob("chaos.gate") for _ in range(jobs)])
            await stage.runs(waiting, 1)
            _signal([group], signal.SIGSTOP)
            await during(LEASE_S + 3)
            stage.gate("a").touch()
            _signal([group], signal.SIGCONT)
            found = await stage.completed(waiting)
            stage.ledger.read()
            once = [job for job in found if len(stage.ledger.executions[job.id]) == len(job.attempts) == 1]
            return FrozenTally(late=jobs, late_accepted=len(once))
        finally:
            stage.close()


def _signal(groups: Sequence[Group], number: signal.Signals) -> list[int]:
    return [pid for group in groups for pid in group.signal_all(number)]


async def _registered(queue: RedisQueue, count: int) -> None:
    async def enough() -> bool:
        return len(await queue.workers()) >= count

    await eventually(enough, 120, f"{count} workers are registered")
