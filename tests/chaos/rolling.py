"""A deploy again and again: each worker in turn is asked to leave and replaced, under load."""

from __future__ import annotations

import json
import time
from random import Random

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.chaos.books import await_completed, read_books
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.load import Load, queues_for
from tests.chaos.pacing import all_row, clean_logs_row, count_row, times_row
from tests.chaos.scorecard import Row, Setting
from tests.redis_server import RedisServer
from tests.waiting import eventually

RESTARTS, GROUPS, SLOTS = 100, 4, 5


def calm_job(rng: Random) -> NewJob:
    """0.1 to 0.4 s."""
    kind = "chaos.thread" if rng.random() < 0.1 else "chaos.nap"
    return NewJob(kind, json.dumps({"s": round(rng.uniform(0.1, 0.4), 3)}).encode())


async def run(setting: Setting) -> list[Row]:
    server = RedisServer(setting.folder, str(setting.redis_server), "--appendonly", "yes")
    server.start()
    ledger = Ledger(setting.folder / "ledger")
    restarts = setting.of(RESTARTS, 4)
    room = restarts * 800
    fleet = Fleet(
        server.url, "rolling", setting.folder, ledger,
        ("--concurrency", str(SLOTS), "--queues", ",".join(queues_for(room))),
    )  # fmt: skip
    try:
        async with RedisQueue(server.url, "rolling") as queue:
            load = Load(queue, ledger, 0, Random(setting.seed), calm_job, room=room, ahead=200)
            rolling = Rolling(setting, fleet, ledger, restarts)
            await load.during(rolling.run())
            await await_completed(queue, len(load.acknowledged), 60)
            ledger.read()
            books = await read_books(queue, load.acknowledged)
    finally:
        fleet.close()
        server.stop()
    lost = sum(job.crashes + job.lapses for job in books.jobs.values() if job)
    return [
        all_row("restarts that ended with exit code 0", rolling.good_codes, restarts),
        *books.rows(ledger, 0.001),
        count_row("crashes and lapses charged", lost, len(books.jobs)),
        times_row("time to leave", rolling.leaving_s, None),
        Row("longest time in which no job ended", f"{rolling.longest_pause_s:.2f} s"),
        clean_logs_row(fleet),
    ]


class Rolling:
    """One after the other: asked, gone, replaced, at work; then the next."""

    def __init__(self, setting: Setting, fleet: Fleet, ledger: Ledger, restarts: int) -> None:
        self.good_codes = 0
        self.leaving_s: list[float] = []
        self.longest_pause_s = 0.0
        self._setting = setting
        self._fleet = fleet
        self._ledger = ledger
        self._restarts = restarts

    async def run(self) -> None:
        for _ in range(GROUPS):
            self._fleet.start()
        await self._fleet.await_ready(GROUPS)
        self._ledger.longest_pause_s = 0.0
        for at in range(self._restarts):
            group = self._fleet.groups[0]  # the oldest
            asked = time.monotonic()
            group.tied.process.terminate()
            await eventually(lambda group=group: not group.alive, 60, "it left")
            self.leaving_s.append(time.monotonic() - asked)
            self.good_codes += group.tied.process.returncode == 0
            self._fleet.forget(group)
            self._fleet.start()
            await self._fleet.await_ready(GROUPS)
            self._setting.tell(f"rolling: {at + 1} of {self._restarts} restarts, {self._ledger.ended:,} jobs")
        self.longest_pause_s = self._ledger.longest_pause_s
