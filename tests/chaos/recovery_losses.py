"""Workers that are lost: a child whose supervisor lives, and a whole host."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable

from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.chaos.arena import Ledger, Line, arena, kill_whole, quantile
from tests.chaos.scorecard import Row, Setting
from tests.queue.state import check_books
from tests.redis_server import RedisServer
from tests.system.bench import ended, times
from tests.system.processes import children_of, stop
from tests.waiting import eventually

TARGET = "tests.chaos.recovery_tasks:forge"
LEASE_S = 15.0
CHILD_S = 2.0  # until the jobs of a killed child run again
GROUPS, PROCESSES, SLOTS = 4, 2, 4
NAP_S = 0.4
EVIDENCE = ("signal SIGKILL", "pid", "rss bytes")
HOSTS_AT_ONCE, HOLDS = 6, 3


async def killed_children(setting: Setting, server: RedisServer, rng: random.Random) -> list[Row]:
    """One child after the other is killed in the middle of its jobs; the others have room for them."""
    kills = setting.of(200, 8)
    first: list[float] = []
    again: list[float] = []
    async with arena(setting, server, "children") as on:
        groups = [
            on.bench.worker(
                "--processes", str(PROCESSES), "--concurrency", str(SLOTS), target=TARGET, ready=False
            )
            for _ in range(GROUPS)
        ]
        await all_ready(on.queue, GROUPS * PROCESSES)
        feed = _Feed(on.queue, GROUPS * PROCESSES * SLOTS // 2)
        feeding = asyncio.create_task(feed.run())
        try:
            for kill in range(kills):
                if kill % 10 == 0:
                    setting.tell(f"killed children: {kill} of {kills}")
                await all_ready(on.queue, GROUPS * PROCESSES)
                victim, marks = await _with_jobs(groups, on.ledger, rng)
                at = time.monotonic()
                os.kill(victim, signal.SIGKILL)
                for mark in marks:
                    job_id = feed.jobs[mark].id
                    if measured := await _recovery(
                        on.ledger, mark, at, 30, unless=lambda job_id=job_id: _is_dead(on.queue, job_id)
                    ):
                        took_s, runs = measured
                        (first if runs == 2 else again).append(took_s)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        found = await ended(on.queue, feed.jobs, 60)
        await check_books(on.queue)
    p99 = quantile(first, 0.99)
    crashes = [attempt.error for job in found for attempt in job.attempts if attempt.outcome == "crashed"]
    told = sum(error is not None and all(word in error.message for word in EVIDENCE) for error in crashes)
    third = sum(job.status is JobStatus.DEAD and job.crashes == 3 for job in found)
    once = third + sum(
        job.status is JobStatus.COMPLETED and count == 1
        for job, count in zip(found, times(found, "completed"), strict=True)
    )
    return [
        Row("killed child: its jobs run elsewhere, p50 / p99", f"{quantile(first, 0.5):.3f} / {p99:.3f} s of {len(first)} jobs, {kills} kills", f"p99 ≤ {CHILD_S:g} s", p99 <= CHILD_S),
        Row("… those hit again, which run alone from then on, longest", f"{max(again, default=0):.3f} s of {len(again)}"),
        Row("… jobs completed once in the books, or dead by their third crash", f"{once - third:,}, {third} of {len(found):,}", "all", once == len(found)),
        Row("… crashed attempts that tell signal, process and memory", f"{told} of {len(crashes)}", "all", told == len(crashes)),
        Row("… jobs charged a retry", f"{sum(job.retry_count > 0 for job in found)} of {len(found):,}", "0", not any(job.retry_count for job in found)),
    ]  # fmt: skip


async def lost_hosts(setting: Setting, server: RedisServer, rng: random.Random) -> list[Row]:
    """Whole groups are killed at once, several hosts in each round: nobody tells, the lease has to run out."""
    rounds = setting.of(5)
    took: list[float] = []
    lost = charged = 0
    async with arena(setting, server, "hosts") as on:
        on.bench.worker("--queues", "idle", target=TARGET)  # looks after leases all the while
        jobs: list[Job] = []
        for at in range(rounds):
            setting.tell(f"lost hosts: round {at + 1} of {rounds}")
            words = ("--queues", f"round{at}", "--concurrency", str(HOLDS))
            hosts = [on.bench.worker(*words, target=TARGET, ready=False) for _ in range(HOSTS_AT_ONCE)]
            await all_ready(on.queue, 1 + len(hosts))
            marks = range(at * 100, at * 100 + HOSTS_AT_ONCE * HOLDS)
            new = [NewJob("hold", b'{"mark":%d}' % mark, queue=f"round{at}") for mark in marks]
            jobs += await on.queue.enqueue_many(new)
            await eventually(
                lambda marks=marks: on.ledger.read() is not None and set(marks) <= set(on.ledger.of),
                30,
                "all hosts are full",
            )
            heir = on.bench.worker("--queues", f"round{at}", "--concurrency", "50", target=TARGET)
            kill_at = time.monotonic() + rng.uniform(0, 5)  # anywhere between two renewals
            await eventually(lambda kill_at=kill_at: time.monotonic() >= kill_at, 10)
            fell: dict[int, float] = {}
            for host in hosts:
                pids = kill_whole(host)
                now = time.monotonic()
                fell |= {mark: now for pid in pids for mark in on.ledger.running_in(pid)}
            lost += len(hosts)
            for mark, now in fell.items():
                if measured := await _recovery(on.ledger, mark, now, LEASE_S * 2):
                    took.append(measured[0])
            stop(heir)
        found = await ended(on.queue, jobs, 30)
        charged = sum((job.lapses, job.crashes, job.retry_count) != (1, 0, 0) for job in found)
        await check_books(on.queue)
    longest = max(took, default=0.0)
    return [
        Row("lost host: its jobs run elsewhere, p50 / longest", f"{quantile(took, 0.5):.2f} / {longest:.2f} s of {len(took)} jobs, {lost} hosts", f"≤ {LEASE_S + 2:g} s", longest <= LEASE_S + 2),
        Row("… jobs charged with more than one lapse", f"{charged} of {len(found)}", "0", charged == 0),
    ]  # fmt: skip


class _Feed:
    """Keeps so many naps on their way."""

    def __init__(self, queue: RedisQueue, at_once: int) -> None:
        self.jobs: list[Job] = []
        self._queue = queue
        self._at_once = at_once

    async def run(self) -> None:
        while True:
            missing = await eventually(self._missing, 60, "there is room for more")
            first = len(self.jobs)
            new = [NewJob("nap", b'{"mark":%d,"s":%g}' % (first + at, NAP_S)) for at in range(missing)]
            self.jobs += await self._queue.enqueue_many(new)

    async def _missing(self) -> int:
        found = await self._queue.read_queue("default")
        return max(0, self._at_once - found.queued - found.running)


async def all_ready(queue: RedisQueue, count: int) -> None:
    async def registered() -> bool:
        return sum(worker.beat_age_s is not None for worker in await queue.workers()) == count

    await eventually(registered, 60, f"{count} workers are ready")


async def _with_jobs(
    groups: list[subprocess.Popen[bytes]], ledger: Ledger, rng: random.Random
) -> tuple[int, list[int]]:
    """A child that runs something, and the marks of that; nothing that its third crash would kill."""

    def found() -> tuple[int, list[int]] | None:
        ledger.read()
        pids = [pid for group in groups for pid in children_of(group.pid)]
        rng.shuffle(pids)
        running = ((pid, ledger.running_in(pid)) for pid in pids)
        return next(
            (
                (pid, marks)
                for pid, marks in running
                if marks and all(ledger.begun(mark) < 3 for mark in marks)
            ),
            None,
        )

    chosen = await eventually(found, 30, "a child runs something")
    assert chosen
    return chosen


async def _is_dead(queue: RedisQueue, job_id: str) -> bool:
    """By its third crash: a child that was killed before the job's first line had it already."""
    job = await queue.get(job_id)
    return job.status is JobStatus.DEAD and job.crashes == 3


async def _never() -> bool:
    return False


async def _recovery(
    ledger: Ledger,
    mark: int,
    lost_at: float,
    within_s: float,
    unless: Callable[[], Awaitable[bool]] = _never,
) -> tuple[float, int] | None:
    """How long until the job began again, and how often it began by then; None for one that had just ended, or is dead."""

    async def begun() -> list[Line | None]:
        ledger.read()
        found: list[Line | None] = [
            line
            for line in ledger.of[mark]
            if line.word == "end" or (line.word, line.at > lost_at) == ("start", True)
        ]
        return found or ([None] if await unless() else [])

    line = (await eventually(begun, within_s, f"job {mark} runs again"))[0]
    if line is None or line.word == "end":
        return None
    return line.at - lost_at, sum(one.word == "start" for one in ledger.of[mark] if one.at <= line.at)
