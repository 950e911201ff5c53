"""Workers are asked to leave, again and again, while jobs run: they leave in time, and charge nobody for it."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import NamedTuple

from ironforge.job import Job, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.working import LEASE_MS
from tests.chaos.books import await_completed, pid_of, read_books
from tests.chaos.fleet import Fleet, Group
from tests.chaos.ledger import Ledger
from tests.chaos.load import Load, queues_for
from tests.chaos.pacing import all_row, clean_logs_row, count_row, during, times_row
from tests.chaos.scorecard import Row, Setting
from tests.redis_server import RedisServer
from tests.waiting import eventually

CYCLES, AWAY_ROUNDS = 200, 4
GROUPS, SLOTS, MOST_LEAVING = 6, 5, 2
DEADLINE_S = 1.5
LEASE_S = LEASE_MS / 1000


class Sizes(NamedTuple):
    cycles: int
    away_rounds: int
    groups: int = GROUPS


@dataclass(slots=True)
class Exits:
    """How workers left: seconds over their deadline, or after the second signal."""

    cycles: int = 0
    good_codes: int = 0
    over_s: list[float] = field(default_factory=list[float])
    second_s: list[float] = field(default_factory=list[float])
    away_s: list[float] = field(default_factory=list[float])
    silent_s: list[float] = field(default_factory=list[float])

    def left(self, group: Group, since: float, into: list[float]) -> None:
        """It ended; `since` is when it had to."""
        into.append(time.monotonic() - since)
        self.cycles += 1
        self.good_codes += group.tied.process.returncode == 0


def mixed_job(rng: Random) -> NewJob:
    """One in six takes longer than a worker may drain; of these one in eight does not let itself be cancelled."""
    if rng.random() > 1 / 6:
        kind = "chaos.thread" if rng.random() < 0.1 else "chaos.nap"
        return NewJob(kind, json.dumps({"s": round(rng.uniform(0.05, 0.4), 3)}).encode())
    kind = rng.choice(("chaos.nap",) * 5 + ("chaos.thread",) * 2 + ("chaos.stubborn",))
    return NewJob(kind, json.dumps({"s": round(rng.uniform(1.5, 3.0), 3)}).encode())


class Cycles:
    """Groups come and go; at most two leave at once, so that others can take what they release."""

    def __init__(
        self, setting: Setting, sizes: Sizes, server: RedisServer, fleet: Fleet, ledger: Ledger
    ) -> None:
        self.exits = Exits()
        self.unheard: set[int] = set()  # children that left while Redis did not hear them
        self.hurried: set[int] = set()  # children that were asked twice
        self._setting = setting
        self._sizes = sizes
        self._server = server
        self._fleet = fleet
        self._ledger = ledger
        self._rng = Random(setting.seed)
        self._leaving = 0

    async def run(self) -> None:
        for _ in range(self._sizes.groups):
            self._fleet.start()
        # Others have to take what one of them releases.
        least = self._sizes.groups - MOST_LEAVING
        async with asyncio.TaskGroup() as leaving:
            for at in range(self._sizes.cycles):
                await eventually(lambda: self._leaving < MOST_LEAVING, 90, "one of them left")
                group = self._rng.choice(await self._fleet.await_ready(least))
                group.busy = True
                self._leaving += 1
                leaving.create_task(self._cycle(group, at))
                if at % 10 == 0:
                    self._setting.tell(f"terms: {self.exits.cycles} cycles, {self._ledger.ended:,} jobs")
        for at in range(self._sizes.away_rounds):
            await self._without_redis(silent=at % 2 == 1)

    async def _cycle(self, group: Group, at: int) -> None:
        asked = time.monotonic()
        group.tied.process.send_signal(signal.SIGINT if at % 7 == 3 else signal.SIGTERM)
        if at % 5 == 4:
            self.hurried.update(group.children())
            await during(self._rng.uniform(0.1, 0.8))
            asked = time.monotonic()
            group.tied.process.send_signal(signal.SIGINT if at % 2 else signal.SIGTERM)
            await self._leave(group, asked, self.exits.second_s)
        else:
            await self._leave(group, asked + DEADLINE_S, self.exits.over_s)
        self._fleet.start()
        self._leaving -= 1

    async def _leave(self, group: Group, due: float, into: list[float]) -> None:
        await eventually(lambda: not group.alive, 60, "it left")
        self.exits.left(group, due, into)
        self._fleet.forget(group)

    async def _without_redis(self, *, silent: bool) -> None:
        """All of them are asked while Redis is away, or does not answer."""
        groups = await self._fleet.await_ready(self._sizes.groups)
        assert self._server.process
        self.unheard.update(pid for group in groups for pid in group.children())
        if silent:
            self._server.process.send_signal(signal.SIGSTOP)
        else:
            self._server.kill()
        await during(0.5)
        asked = time.monotonic()
        for group in groups:
            group.busy = True
            group.tied.process.terminate()
        times = self.exits.silent_s if silent else self.exits.away_s
        await asyncio.gather(*(self._leave(group, asked + DEADLINE_S, times) for group in groups))
        if silent:
            self._server.process.send_signal(signal.SIGCONT)
        else:
            await asyncio.to_thread(self._server.start)
        for _ in range(self._sizes.groups):
            self._fleet.start()


async def run(setting: Setting) -> list[Row]:
    return await play(setting, Sizes(setting.of(CYCLES, 5), setting.of(AWAY_ROUNDS, 2)))


async def play(setting: Setting, sizes: Sizes) -> list[Row]:
    """The scenario at any size."""
    server = RedisServer(
        setting.folder, str(setting.redis_server), "--appendonly", "yes", "--appendfsync", "always"
    )
    server.start()
    ledger = Ledger(setting.folder / "ledger")
    room = sizes.cycles * 300
    queues = ",".join(queues_for(room))
    words = ("--concurrency", str(SLOTS), "--shutdown-timeout", str(DEADLINE_S), "--queues", queues)
    fleet = Fleet(server.url, "terms", setting.folder, ledger, words)
    try:
        async with RedisQueue(server.url, "terms") as queue:
            load = Load(queue, ledger, 0, Random(setting.seed + 1), mixed_job, room=room, ahead=100)
            cycles = Cycles(setting, sizes, server, fleet, ledger)
            await load.during(cycles.run())
            await await_completed(queue, len(load.acknowledged), 3 * LEASE_S + 60)
            ledger.read()
            books = await read_books(queue, load.acknowledged)
    finally:
        fleet.close()
        server.stop()
    jobs = [job for job in books.jobs.values() if job]
    return [
        *_exit_rows(cycles.exits, sizes),
        *books.rows(ledger, None),
        *_job_rows(cycles, jobs),
        clean_logs_row(fleet),
    ]


def _exit_rows(exits: Exits, sizes: Sizes) -> list[Row]:
    rows = [
        all_row("workers asked to leave that ended with exit code 0", exits.good_codes, exits.cycles),
        times_row("left, after their deadline", exits.over_s, 2.0, 1.0),
        times_row("left, after a second signal", exits.second_s, 2.0, 1.0),
    ]
    if not sizes.away_rounds:
        return rows
    return [
        *rows,
        times_row("left while Redis was away, after their deadline", exits.away_s, 2.0, 1.0),
        times_row("left while Redis did not answer, after their deadline", exits.silent_s, 2.0, 1.0),
    ]


def _job_rows(cycles: Cycles, jobs: Sequence[Job]) -> list[Row]:
    waits: list[float] = []
    lapsed = unexpected = early = 0
    for job in jobs:
        for ended, again in pairwise(job.attempts):
            if ended.outcome == "released":
                waits.append((again.started_ms - ended.finished_ms) / 1000)
                ran_s = (ended.finished_ms - ended.started_ms) / 1000
                patient = pid_of(ended.worker) not in cycles.hurried
                early += patient and ran_s < DEADLINE_S - 0.1
            elif ended.outcome == "lapsed":
                lapsed += 1
                unexpected += pid_of(ended.worker) not in cycles.unheard
    crashes = sum(job.crashes for job in jobs)
    return [
        times_row("released → runs elsewhere", waits, 2.0),
        count_row("… before the deadline of a worker that was asked once", early, len(waits)),
        count_row("crashes charged", crashes, len(jobs)),
        count_row(
            "leases that ran out, except of workers that left while Redis was away", unexpected, lapsed
        ),
    ]
