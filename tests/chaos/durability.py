"""Redis killed under load, full, and on a full disk: what was accepted is kept as far as its durability says.

The submitters write down what was acknowledged and when; handlers write to their ledger what ran. A job is lost when it
was acknowledged, never ran, and is not in Redis either.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ironforge.queue.auditor import audit
from tests.chaos.durability_states import (
    busy_rows,
    clock_rows,
    disk_rows,
    full_rows,
    goes_on,
    policy_rows,
    script_rows,
)
from tests.chaos.pacing import count_row, during, times_row
from tests.chaos.scorecard import Row, Setting
from tests.durability.scene import Scene, scene
from tests.durability.servers import ALWAYS, EVERYSEC, server
from tests.durability.submitter import Submitter, submitting
from tests.waiting import eventually

KILLS = 100
SUBMITTERS = 8
# Waiting for room in the page cache is what makes a server answer before it wrote.
_HOG = """
import os, sys
block = os.urandom(1 << 20)
while True:
    with open(sys.argv[1], "wb") as file:
        for _ in range(64):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
"""


async def run(setting: Setting) -> list[Row]:
    rows: list[Row] = []
    for word, options in (("always", ALWAYS), ("everysec", EVERYSEC)):
        rows += await killed_rows(setting, word, options)
    for part in (policy_rows, full_rows, disk_rows, busy_rows, script_rows, clock_rows):
        setting.tell(f"durability: {part.__name__.removesuffix('_rows')}")
        rows += await part(setting)
    return rows


@dataclass(slots=True)
class Kills:
    """When Redis was killed, and how long after it answered again the first job completed."""

    at: list[float] = field(default_factory=list[float])
    recovered_s: list[float] = field(default_factory=list[float])


async def killed_rows(setting: Setting, word: str, options: tuple[str, ...]) -> list[Row]:
    """A kill after every 0.1 to 0.9 s of work."""
    folder = setting.folder / word
    folder.mkdir()
    kills = Kills()
    with (
        server(*options, binary=str(setting.redis_server)) as redis,
        _busy_disk(redis.folder, word == "everysec"),
    ):
        async with scene(redis, folder, durability="always" if word == "always" else "local") as on:
            on.worker("--concurrency", "10")
            async with _load(on) as submitters:
                await _kill_often(setting, word, on, kills)
            marks = {mark: at for one in submitters for mark, at in one.marks.items()}
            await eventually(lambda: _is_drained(on), 120, "all that is in Redis has run")
            ran = {int(line[1]) for line in on.bench.lines("ran")}
            lost = sorted(set(marks) - ran)
            findings = (await audit(on.queue)).findings
            lapses = await on.lapses()
    ages_s = [_age_s(marks[mark], kills.at) for mark in lost]
    tracebacks = sum(log.read_text().count("Traceback") for log in folder.glob("w*.log"))
    return [
        *_lost_rows(word, len(lost), len(marks), ages_s, len(kills.at)),
        times_row(f"{word}: first completion after Redis answers again", kills.recovered_s, 5.0),
        count_row(f"{word}: what the auditor finds", len(findings), len(marks)),
        count_row(f"{word}: leases lost to the kills", lapses, len(kills.at)),
        count_row(f"{word}: tracebacks of workers", tracebacks, len(kills.at)),
    ]


def _lost_rows(word: str, lost: int, accepted: int, ages_s: list[float], kills: int) -> list[Row]:
    """Under `always` none; under `everysec` what Redis had answered before it wrote, for at most two seconds."""
    value = f"{lost:,} of {accepted:,} in {kills} kills"
    what = f"{word}: acknowledged jobs lost"
    if word == "always":
        return [Row(what, value, "0", lost == 0 and accepted > 0)]
    oldest = max(ages_s, default=0.0)
    share = lost / accepted if accepted else 1.0
    about = f" ({share:.3%}), acknowledged at most {oldest:.2f} s before the kill" if lost else ""
    return [
        Row(what, value + about, "each < 2 s old", oldest < 2.0, timed=True),
        Row(f"{word}: acknowledged jobs kept", f"{1 - share:.3%} of {accepted:,}", "≥ 90%", share <= 0.1),
    ]


def _age_s(acknowledged: float, kills: list[float]) -> float:
    """From the acknowledgement to the kill that came after it; for one that no kill explains, for ever."""
    return min((kill - acknowledged for kill in kills if kill >= acknowledged), default=float("inf"))


async def _kill_often(setting: Setting, word: str, on: Scene, kills: Kills) -> None:
    choices = random.Random(f"{setting.seed} {word}")
    for number in range(setting.of(KILLS, least=2)):
        setting.tell(f"durability: {word}, kill {number + 1}")
        await goes_on(on)
        await during(choices.uniform(0.1, 0.9))
        kills.at.append(time.monotonic())
        await asyncio.to_thread(on.redis.kill)
        written = on.bench.ledger.stat().st_size
        on.redis.start_again()
        await eventually(lambda: asyncio.to_thread(on.redis.answers), 60, "Redis answers")
        answered = time.monotonic()
        await goes_on(on, written)
        kills.recovered_s.append(time.monotonic() - answered)


async def _is_drained(on: Scene) -> bool:
    found = await on.queue.read_queue("default")
    return found.queued + found.running + found.retrying == 0


@asynccontextmanager
async def _load(on: Scene) -> AsyncIterator[list[Submitter]]:
    numbers = itertools.count(1)
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                submitting(on.queue, kind="padded", pause_s=0.002, numbers=numbers)
            )
            for _ in range(SUBMITTERS)
        ]


@contextmanager
def _busy_disk(folder: Path, wanted: bool) -> Iterator[None]:
    """Somebody else writes to the disk of the server, and waits for it each 64 MiB."""
    if not wanted:
        yield
        return
    hog = subprocess.Popen([sys.executable, "-c", _HOG, str(folder / "hog")], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        hog.kill()
        hog.wait()
        with contextlib.suppress(FileNotFoundError):
            (folder / "hog").unlink()
