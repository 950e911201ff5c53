"""Mixed faults for half an hour: nothing is lost, and what goes on all the time does not grow."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

import httpx
from redis.exceptions import RedisError

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.chaos.books import await_completed, read_books, retry_the_dead
from tests.chaos.fleet import Fleet, Group, send
from tests.chaos.ledger import Ledger
from tests.chaos.load import JOBS_PER_QUEUE, Load
from tests.chaos.pacing import clean_logs_row, count_row, during
from tests.chaos.scorecard import Row, Setting
from tests.redis_server import RedisServer
from tests.system.processes import await_port, environment, free_port, ironforge, running

FULL_S, PAUSE_S = 1800.0, 5.0
WARM = 1 / 6  # of the time: minute 5 of 30
JOBS_A_SECOND = (
    80  # at most, by the slots and how long jobs take: Redis, restarted again and again, has to load them all
)
LEASE_S = 15.0
Verb = Literal["kill a child", "end a group", "restart Redis", "forget scripts", "cut connections"]
VERBS: tuple[Verb, ...] = (
    "kill a child",
    "end a group",
    "cut connections",
    "forget scripts",
    "kill a child",
    "restart Redis",
)


class Length(NamedTuple):
    """How long, and how long between two faults (s)."""

    seconds: float
    pause_s: float


class Sample(NamedTuple):
    """Of one process, or several: memory (MiB) and open descriptors."""

    at: float
    rss: float
    fds: int


@dataclass(slots=True)
class Watch:
    """Reads /proc of who goes on all the time."""

    began: float = field(default_factory=time.monotonic)
    samples: dict[str, list[Sample]] = field(default_factory=dict[str, list[Sample]])

    def read(self, name: str, pids: Sequence[int]) -> None:
        try:
            rss = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
            fds = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
        except OSError:  # it just ended
            return
        at = time.monotonic() - self.began
        self.samples.setdefault(name, []).append(Sample(at, rss * os.sysconf("SC_PAGE_SIZE") / 2**20, fds))

    def near(self, name: str, at: float, width: float) -> tuple[float, float]:
        """Medians of memory and descriptors around that time."""
        samples = self.samples[name]
        found = [one for one in samples if abs(one.at - at) <= width] or samples[-1:]
        return statistics.median(one.rss for one in found), statistics.median(one.fds for one in found)


async def run(setting: Setting) -> list[Row]:
    seconds = max(30.0, FULL_S * setting.scale)
    return await play(setting, Length(seconds, PAUSE_S))


async def play(setting: Setting, length: Length) -> list[Row]:
    """At any length. Group 0 is left alone, of group 1 only children are killed, the others come and go."""
    server = RedisServer(
        setting.folder, str(setting.redis_server), "--appendonly", "yes", "--appendfsync", "always"
    )
    server.start()
    ledger = Ledger(setting.folder / "ledger")
    queues = -(-round(length.seconds + 60) * JOBS_A_SECOND // JOBS_PER_QUEUE)
    names = ",".join(f"q{at}" for at in range(queues))
    fleet = Fleet(
        server.url, "soak", setting.folder, ledger,
        ("--processes", "2", "--concurrency", "3", "--shutdown-timeout", "5", "--queues", names),
    )  # fmt: skip
    left: list[int] = []
    try:
        async with RedisQueue(server.url, "soak") as queue, _api(server, setting.folder) as api:
            rows = await _soak(setting, length, Scene(server, ledger, fleet, queue, api))
    finally:
        left = fleet.close()
        server.stop()
    return [*rows, count_row("processes left behind", len(left), len(fleet.seen)), clean_logs_row(fleet)]


class Api(NamedTuple):
    """The REST server as a process."""

    pid: int
    url: str


class Scene(NamedTuple):
    server: RedisServer
    ledger: Ledger
    fleet: Fleet
    queue: RedisQueue
    api: Api


@asynccontextmanager
async def _api(server: RedisServer, folder: Path) -> AsyncIterator[Api]:
    port = free_port()
    env = environment(server.url, "soak", BIND_ADDR=f"127.0.0.1:{port}", IRONFORGE_LOG="warning")
    with ExitStack() as stack:
        process = stack.enter_context(running(ironforge("server"), env, folder / "server.log"))
        await asyncio.to_thread(await_port, port)
        yield Api(process.pid, f"http://127.0.0.1:{port}")


async def _soak(setting: Setting, length: Length, scene: Scene) -> list[Row]:
    watch, faults = Watch(), Faults(scene, Random(setting.seed))
    load = Load(scene.queue, scene.ledger, 100, Random(setting.seed + 1), make=_job, ahead=150)
    for _ in range(3):
        scene.fleet.start()
    await_all = scene.fleet.await_ready(3)
    beside = [asyncio.create_task(one) for one in (_look(setting, length, scene, watch), _visit(scene.api))]
    try:

        async def work() -> None:
            await await_all
            watch.began = time.monotonic()
            until = watch.began + length.seconds
            while time.monotonic() < until:
                await during(length.pause_s)
                await faults.do()
            await faults.settled()

        await load.during(work())
        count = len(load.acknowledged)
        await await_completed(scene.queue, count, 3 * LEASE_S + 60)
        if dead := await retry_the_dead(scene.queue, await read_books(scene.queue, load.acknowledged)):
            await await_completed(scene.queue, count, 60)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    scene.ledger.read()
    books = await read_books(scene.queue, load.acknowledged)
    done = ", ".join(f"{times} × {verb}" for verb, times in sorted(faults.done.items()))
    return [
        Row("what was done", f"{done} in {length.seconds / 60:.1f} min"),
        *books.rows(scene.ledger, None),
        Row("dead after three of our kills, run by a retry", f"{len(dead)} of {count:,}"),
        *_growth(watch, length),
    ]  # fmt: skip


def _job(rng: Random) -> NewJob:
    """0.1 to 0.5 s; one in ten blocks a thread, one in twenty is for later."""
    kind = "chaos.thread" if rng.random() < 0.1 else "chaos.nap"
    delay_ms = rng.randrange(500, 3000) if rng.random() < 0.05 else None
    return NewJob(kind, json.dumps({"s": round(rng.uniform(0.1, 0.5), 3)}).encode(), delay_ms=delay_ms)


class Faults:
    """One after another, in an order by the seed: each kind once before any comes again."""

    def __init__(self, scene: Scene, rng: Random) -> None:
        self.done: dict[str, int] = {}
        self._scene = scene
        self._rng = rng
        self._next: list[Verb] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def do(self) -> None:
        if not self._next:
            self._next = self._rng.sample(VERBS, len(VERBS))
        verb = self._next.pop()
        scene = self._scene
        match verb:
            case "kill a child":
                group = scene.fleet.groups[1]
                if children := group.children():
                    send([self._rng.choice(children)], signal.SIGKILL)
            case "end a group":
                if len(scene.fleet.groups) > 2:
                    self._ending.add(asyncio.create_task(self._end(scene.fleet.groups[-1])))
                    scene.fleet.start()
            case "restart Redis":
                await asyncio.to_thread(scene.server.kill)
                await during(self._rng.uniform(0, 1))
                await asyncio.to_thread(scene.server.start)
            case "forget scripts":
                await self._tell("SCRIPT", "FLUSH")
            case "cut connections":
                await self._tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.done[verb] = self.done.get(verb, 0) + 1

    async def settled(self) -> None:
        """Groups that were asked to leave have left."""
        await asyncio.gather(*self._ending)

    async def _end(self, group: Group) -> None:
        group.busy = True
        self._scene.fleet.groups.remove(group)
        self._scene.fleet.seen.update([group.pid, *group.children()])
        group.tied.process.terminate()
        await asyncio.to_thread(group.tied.process.wait, 60)
        group.tied.release()

    async def _tell(self, *words: str) -> None:
        try:
            await self._scene.queue.client.execute_command(*words)
        except (RedisError, OSError):  # its connection was cut by the last fault
            pass


async def _look(setting: Setting, length: Length, scene: Scene, watch: Watch) -> None:
    """Every second or so, and once a minute in words."""
    step = min(1.0, length.seconds / 60)
    while True:
        steady, killed = scene.fleet.groups[0], scene.fleet.groups[1]
        watch.read("supervisor", [steady.pid])
        watch.read("children", steady.children())
        watch.read("supervisor of killed children", [killed.pid])
        watch.read("server", [scene.api.pid])
        scene.ledger.read()
        at = time.monotonic() - watch.began
        setting.tell(f"soak: {at:.0f} of {length.seconds:.0f} s, {scene.ledger.ended:,} jobs")
        await during(step)


async def _visit(api: Api) -> None:
    """People who look: short calls, and a stream that comes and goes."""
    async with httpx.AsyncClient(base_url=api.url, timeout=10) as client:
        while True:
            try:
                for path in ("/queues/stats", "/jobs?limit=20", "/metrics", "/workers"):
                    await client.get(path)
                async with client.stream("GET", "/events") as stream:
                    async for _ in stream.aiter_lines():
                        break
            except httpx.HTTPError:  # Redis is away
                pass
            await during(0.5)


def _growth(watch: Watch, length: Length) -> list[Row]:
    """Who grew beyond what it had once warm; and all of them over time."""
    rows: list[Row] = []
    width = length.seconds / 20
    for name in watch.samples:
        warm, last = watch.near(name, length.seconds * WARM, width), watch.near(name, length.seconds, width)
        fits = last[0] <= warm[0] * 1.1
        value = f"{warm[0]:.1f} → {last[0]:.1f} MiB ({last[0] / warm[0]:.0%})"
        rows.append(Row(f"memory of the {name}", value, "≤ 110%", fits, timed=length.seconds < FULL_S / 10))
        fits = last[1] <= max(warm[1] * 1.1, warm[1] + 1)
        value = f"{warm[1]:.0f} → {last[1]:.0f}"
        rows.append(
            Row(f"descriptors of the {name}", value, "≤ 110%", fits, timed=length.seconds < FULL_S / 10)
        )
    return [*rows, Row("over time", _table(watch, length))]


def _table(watch: Watch, length: Length) -> str:
    """MiB and descriptors of each, at ten times."""
    lines = ["".join(f"{name:>30}" for name in ("minute", *watch.samples))]
    for step in range(1, 11):
        at = length.seconds * step / 10
        cells = [watch.near(name, at, length.seconds / 20) for name in watch.samples]
        lines.append(f"{at / 60:>30.1f}" + "".join(f"{rss:>24.1f} {fds:>5.0f}" for rss, fds in cells))
    return "\n" + "\n".join(lines)
