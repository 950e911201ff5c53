"""Worker processes, whole hosts and Redis itself are killed and stopped while jobs run: nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from random import Random
from typing import NamedTuple

from ironforge.job import Job
from ironforge.queue.backend import RedisQueue
from tests.chaos.books import await_completed, pid_of, read_books, retry_the_dead
from tests.chaos.events import LEASE_S, Director, Event, Record, Sizes, plan
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Execution, Ledger
from tests.chaos.load import Load, queues_for
from tests.chaos.pacing import all_row, clean_logs_row, count_row, during, times_row
from tests.chaos.scorecard import Row, Setting
from tests.redis_server import RedisServer

FULL = Sizes(jobs=50_000, kills=200, stops=20, outages=10, flushes=50)
LEAST = Sizes(jobs=2_000, kills=6, stops=2, outages=1, flushes=1)


class Shape(NamedTuple):
    """Worker groups, the processes of each, the jobs that one runs at once, and how many may wait."""

    groups: int
    processes: int
    slots: int
    ahead: int


FULL_SHAPE = Shape(groups=4, processes=2, slots=3, ahead=1_500)


async def run(setting: Setting) -> list[Row]:
    sizes = Sizes(
        setting.of(FULL.jobs, LEAST.jobs), setting.of(FULL.kills, LEAST.kills), setting.of(FULL.stops, LEAST.stops),
        setting.of(FULL.outages), setting.of(FULL.flushes),
    )  # fmt: skip
    return await play(setting, sizes)


async def play(setting: Setting, sizes: Sizes, shape: Shape = FULL_SHAPE) -> list[Row]:
    """The scenario at any size."""
    jobs, events = sizes.jobs, plan(sizes, setting.seed)
    server = RedisServer(
        setting.folder, str(setting.redis_server), "--appendonly", "yes", "--appendfsync", "always"
    )
    server.start()
    ledger = Ledger(setting.folder / "ledger")
    queues = ",".join(queues_for(room_for(jobs)))
    words = ("--processes", str(shape.processes), "--concurrency", str(shape.slots), "--queues", queues)
    fleet = Fleet(server.url, "chaos", setting.folder, ledger, words)
    left: list[int] = []
    try:
        async with RedisQueue(server.url, "chaos") as queue:
            rows = await _run(setting, Scene(jobs, shape, events, server, ledger, fleet, queue))
    finally:
        left = fleet.close()
        server.stop()
    return [*rows, count_row("processes left behind", len(left), len(fleet.seen)), clean_logs_row(fleet)]


def room_for(jobs: int) -> int:
    """Should they have run before everything was done to their workers, there are more."""
    return jobs + max(20_000, jobs // 2)


class Scene(NamedTuple):
    jobs: int
    shape: Shape
    events: list[Event]
    server: RedisServer
    ledger: Ledger
    fleet: Fleet
    queue: RedisQueue


async def _run(setting: Setting, scene: Scene) -> list[Row]:
    jobs, shape, events, server, ledger, fleet, queue = scene
    load = Load(queue, ledger, jobs, Random(setting.seed + 1), room=room_for(jobs), ahead=shape.ahead)
    director = Director(fleet, server, queue, ledger, others=shape.groups - 2)
    for _ in range(shape.groups):
        fleet.start()
    telling = asyncio.create_task(_tell(setting, director, ledger, len(events)))
    try:
        await load.during(director.carry_out(events, jobs))
    finally:
        telling.cancel()
    await await_completed(queue, len(load.acknowledged), 3 * LEASE_S + 60)
    dead = await retry_the_dead(queue, await read_books(queue, load.acknowledged))
    if dead:
        await await_completed(queue, len(load.acknowledged), 60)
    ledger.read()
    books = await read_books(queue, load.acknowledged)
    record = director.record
    return [
        Row("what was done", ", ".join(f"{count} × {verb}" for verb, count in sorted(record.done.items()))),
        *books.rows(ledger, 0.02),
        Row("dead after three of our kills, run by a retry", f"{len(dead)} of {len(books.jobs):,}"),
        *_charges(record, ledger, books.jobs),
        *_times(record, ledger, books.jobs),
    ]  # fmt: skip


def _times(record: Record, ledger: Ledger, jobs: Mapping[str, Job | None]) -> list[Row]:
    child, host, upset, alone = list[float](), list[float](), list[float](), list[float]()
    for at, pid in _seen(record):
        for lost, again in _reruns(ledger, at, [pid]):
            if _crashes_until(jobs[lost.job_id], pid) > 1:
                alone.append(again.started - at)
            elif record.calm(at, again.started):
                child.append(again.started - at)
    for at, pids in record.host_deaths:
        for _, again in _reruns(ledger, at, pids):
            since = record.last_return(at, again.started)
            (host if since == at else upset).append(again.started - since)
    return [
        times_row("child killed → its jobs run elsewhere", child, 2.0),
        times_row("… of jobs that this was the second time for, and that have to run alone", alone, None),
        times_row("host lost → its jobs run elsewhere", host, LEASE_S + 2),
        times_row("… after Redis came back in between", upset, LEASE_S + 4),
        times_row("Redis answers again → first completion", _first_completions(record, jobs.values()), 5.0),
    ]


def _crashes_until(job: Job | None, pid: int) -> int:
    """How often its process had died when this one did."""
    outcomes: list[str] = []
    for attempt in job.attempts if job else ():
        outcomes.append(attempt.outcome)
        if pid_of(attempt.worker) == pid:
            break
    return outcomes.count("crashed")


def _charges(record: Record, ledger: Ledger, jobs: Mapping[str, Job | None]) -> list[Row]:
    """A child's death is seen, so it is a crash and waits for no lease; a lease ends only where nobody kept it."""
    killed = {pid for _, pid in record.child_deaths}
    cut_off = [_outcomes(jobs, lost, pid) for at, pid in _seen(record) for lost in ledger.cut_off([pid], at)]
    ends = [(one.outcome, pid_of(one.worker)) for job in jobs.values() if job for one in job.attempts]
    crashes = [pid for outcome, pid in ends if outcome == "crashed"]
    lapses = [pid for outcome, pid in ends if outcome == "lapsed"]
    return [
        all_row("runs that a child's death cut off, charged as crashes", sum("crashed" in one for one in cut_off), len(cut_off)),
        count_row("crashes of processes that nobody killed", len([pid for pid in crashes if pid not in killed]), len(crashes)),
        count_row("leases that ran out although their supervisor was there", len([pid for pid in lapses if pid not in record.unkept]), len(lapses)),
    ]  # fmt: skip


def _seen(record: Record) -> list[tuple[float, int]]:
    """Deaths of children whose supervisor was there all the time. One whose host stood still may have lost its lease,
    and its jobs, before it was killed; one whose supervisor died in the same moment is seen by nobody."""
    return [(at, pid) for at, pid in record.child_deaths if pid not in record.unkept]


def _outcomes(jobs: Mapping[str, Job | None], lost: Execution, pid: int) -> list[str]:
    """What the books say of the job's runs in that process."""
    job = jobs.get(lost.job_id)
    return [one.outcome for one in job.attempts if pid_of(one.worker) == pid] if job else []


def _reruns(ledger: Ledger, at: float, pids: list[int]) -> Iterator[tuple[Execution, Execution]]:
    """What a death cut off, and where it ran again."""
    for lost in ledger.cut_off(pids, at):
        if again := ledger.next_after(lost):
            yield lost, again


def _first_completions(record: Record, jobs: Iterable[Job | None]) -> list[float]:
    finished = sorted(job.finished_ms for job in jobs if job and job.finished_ms)
    firsts = [next((at for at in finished if at >= restart), inf) for restart in record.restarts_ms]
    return [(first - restart) / 1000 for first, restart in zip(firsts, record.restarts_ms, strict=True)]


async def _tell(setting: Setting, director: Director, ledger: Ledger, events: int) -> None:
    while True:
        done = sum(director.record.done.values())
        setting.tell(f"kills: {done} of {events} events, {ledger.ended:,} jobs")
        await during(5)
