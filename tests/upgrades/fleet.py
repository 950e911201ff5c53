"""Two versions at work on one namespace, in real processes; some are killed, and at last the old ones are replaced."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ironforge.queue.backend import RedisQueue
from tests.queue.state import check_books
from tests.system.processes import ROOT, await_text, children_of, environment, ironforge, running, stop
from tests.waiting import eventually

TARGET = "tests.upgrades.tasks:forge"


@dataclass(slots=True)
class Version:
    """One version's processes. `home` is None for the version under test."""

    folder: Path
    name: str
    url: str
    namespace: str
    home: Path | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    @property
    def env(self) -> dict[str, str]:
        path = f"{self.home}:{ROOT}" if self.home else str(ROOT)
        return environment(self.url, self.namespace, LEDGER=str(self.folder / "ledger"), PYTHONPATH=path)

    def log(self, number: int) -> Path:
        return self.folder / f"{self.name}{number}.log"

    def start(self, stack: ExitStack, *words: str) -> None:
        """One more worker, ready. Not started in the sources' folder, where Python would find this version first."""
        log = self.log(len(self.workers))
        log.touch()
        self.workers.append(
            stack.enter_context(running(ironforge("worker", TARGET, *words), self.env, log, cwd=self.folder))
        )
        await_text(log, "worker ready")

    def produce(self, first: int, count: int) -> None:
        command = [*ironforge()[:2], "tests.upgrades.produce", str(first), str(count)]
        subprocess.run(command, env=self.env, cwd=self.folder, check=True, timeout=120)


class _Stored(NamedTuple):
    id: str
    form: int
    mark: int
    status: str
    result: bytes
    outcomes: Counter[str]
    retries: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all jobs.

    Attributes:
        lost: jobs that did not complete exactly once in the books, or whose result is not what went in.
        misread: runs with other arguments than the job was made with, or of a newer form by the older version.
        charged: jobs that spent a retry.
        newer: jobs of the newer form.
        refused: times the older version released one of those (of each job the last ten ends are kept).
        runs: by the form of the version that ran them.
    """

    jobs: int
    lost: int
    misread: int
    charged: int
    newer: int
    refused: int
    kills: int
    runs: Counter[int]


async def side_by_side(
    queue: RedisQueue, old: Version, new: Version, count: int, kills: int, rng: random.Random
) -> Outcome:
    """`count` jobs, half of each version's form."""
    with ExitStack() as stack:
        old.start(stack, "--concurrency", "4")
        new.start(stack, "--concurrency", "10", "--processes", "2")
        half = count // 2
        old.produce(0, half)
        new.produce(half, count - half)
        for kill in range(kills):
            await eventually(
                lambda kill=kill: _ended(old.folder) >= count * (kill + 1) // (kills + 2), 120, "work goes on"
            )
            await eventually(
                lambda: _kill_one([*old.workers, *new.workers], rng), 30, "there is a child to kill"
            )
        await eventually(lambda: _ended(old.folder) >= count * 3 // 4, 120, "work goes on")
        # The rest of the rolling deploy: one more of the new, none of the old.
        new.start(stack, "--concurrency", "10")
        assert stop(old.workers[0], 40) == 0
        await _all_ended(queue, count)
        for worker in new.workers:
            assert stop(worker, 40) == 0
    await check_books(queue)
    return _judged(await _stored(queue), _runs(old.folder), count, kills)


def _kill_one(workers: list[subprocess.Popen[bytes]], rng: random.Random) -> bool:
    """False when none is there just now, or it ended by itself."""
    pids = [pid for worker in workers for pid in children_of(worker.pid)]
    try:
        os.kill(rng.choice(pids), signal.SIGKILL)
    except (IndexError, ProcessLookupError):
        return False
    return True


def _ended(folder: Path) -> int:
    """Runs so far."""
    ledger = folder / "ledger"
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


async def _all_ended(queue: RedisQueue, count: int) -> None:
    async def none_left() -> bool:
        found = await queue.read_queue("default")
        return found.completed + found.dead + found.cancelled == count

    await eventually(none_left, 240, f"{count} jobs ended")


async def _stored(queue: RedisQueue) -> list[_Stored]:
    """Every job as it lies in Redis: no version reads all of them."""
    prefix = queue.keys.job("")
    found: list[_Stored] = []
    async for key in queue.client.scan_iter(prefix + "*", count=1000):
        fields: dict[bytes, bytes] = await queue.client.hgetall(key)
        form = int(fields.get(b"format", b"1"))
        payload = fields.get(b"payload" if form == 1 else b"body", b"{}")
        outcomes = [
            value.split(b" ")[3].decode() for name, value in fields.items() if name.startswith(b"attempt:")
        ]
        found.append(
            _Stored(
                key.decode().removeprefix(prefix),
                form,
                json.loads(payload)["mark"],
                fields[b"status"].decode(),
                fields.get(b"result", b""),
                Counter(outcomes),
                int(fields.get(b"retry_count", b"0")),
            )
        )
    return found


def _runs(folder: Path) -> list[tuple[str, int, int]]:
    """Job id, mark, form of the version that ran it."""
    lines = (line.split() for line in (folder / "ledger").read_text().splitlines())
    return [(job_id, int(mark), int(form)) for job_id, mark, form, _ in lines]


def _judged(jobs: list[_Stored], runs: list[tuple[str, int, int]], count: int, kills: int) -> Outcome:
    whole = [
        job.id
        for job in jobs
        if (job.status, job.result, job.outcomes["completed"]) == ("completed", b"%d" % job.mark, 1)
    ]
    known = {job.id: job for job in jobs}
    return Outcome(
        jobs=count,
        lost=count - len(whole),
        misread=sum(known[job_id].mark != mark or known[job_id].form > form for job_id, mark, form in runs),
        charged=sum(job.retries > 0 for job in jobs),
        refused=sum(job.outcomes["released"] for job in jobs if job.form > 1),
        kills=kills,
        runs=Counter(form for _, _, form in runs),
        newer=sum(job.form > 1 for job in jobs),
    )
