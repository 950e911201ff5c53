"""Workers that die at each step in the life of a job: claimed, begun, half done, done, settled."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.chaos.books import await_completed, read_books, retry_the_dead
from tests.chaos.dying_tasks import STEPS
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.load import Load, queues_for
from tests.chaos.pacing import clean_logs_row, count_row
from tests.chaos.scorecard import Row, Setting
from tests.redis_server import RedisServer
from tests.waiting import eventually

DEATHS, GROUPS, PROCESSES, SLOTS = 250, 4, 2, 3
JOBS_PER_DEATH = 60  # room for so many


def dying_job(rng: Random) -> NewJob:
    return NewJob("chaos.dying", json.dumps({"s": round(rng.uniform(0.02, 0.18), 3)}).encode())


async def run(setting: Setting) -> list[Row]:
    deaths = setting.of(DEATHS, 2 * len(STEPS))
    server = RedisServer(
        setting.folder, str(setting.redis_server), "--appendonly", "yes", "--appendfsync", "always"
    )
    server.start()
    ledger = Ledger(setting.folder / "ledger")
    told, calm = setting.folder / "deaths", setting.folder / "calm"
    told.touch()
    room = deaths * JOBS_PER_DEATH
    queues = ",".join(queues_for(room))
    words = ("--processes", str(PROCESSES), "--concurrency", str(SLOTS), "--queues", queues)
    more = {"DEATHS": str(told), "CALM": str(calm), "SEED": str(setting.seed)}
    fleet = Fleet(server.url, "steps", setting.folder, ledger, words, "tests.chaos.dying_tasks:forge", **more)
    try:
        async with RedisQueue(server.url, "steps") as queue:
            load = Load(queue, ledger, 0, Random(setting.seed), dying_job, room=room, ahead=200)
            for _ in range(GROUPS):
                fleet.start()
            await load.during(_until(deaths, told, calm, ledger, setting))
            await await_completed(queue, len(load.acknowledged), 90)
            books = await read_books(queue, load.acknowledged)
            dead = await retry_the_dead(queue, books)
            await await_completed(queue, len(load.acknowledged), 60)
            ledger.read()
            books = await read_books(queue, load.acknowledged)
    finally:
        fleet.close()
        server.stop()
    return [
        *_deaths(told),
        *books.rows(ledger, None),
        _dead(len(dead), len(books.jobs)),
        clean_logs_row(fleet),
    ]


async def _until(deaths: int, told: Path, calm: Path, ledger: Ledger, setting: Setting) -> None:
    def count() -> int:
        ledger.read()
        return told.read_text().count("\n")

    for wanted in [*range(0, deaths, 20), deaths]:
        await eventually(lambda wanted=wanted: count() >= wanted, 120, f"{wanted} processes died")
        setting.tell(f"steps: {wanted} of {deaths} deaths, {ledger.ended:,} jobs")
    calm.touch()


def _deaths(told: Path) -> list[Row]:
    counts = Counter(told.read_text().split())
    words = ", ".join(f"{counts[step]} {step}" for step in STEPS)
    missing = sum(not counts[step] for step in STEPS)
    return [
        Row("processes that died, by step", words),
        count_row("steps where none died", missing, len(STEPS)),
    ]


def _dead(dead: int, jobs: int) -> Row:
    return Row("dead after three of these, run by a retry", f"{dead} of {jobs:,}")
