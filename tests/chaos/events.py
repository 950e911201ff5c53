"""What is done to workers and Redis while jobs run: planned by the seed, carried out as the jobs go on, recorded."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field
from random import Random
from typing import Literal, NamedTuple

from ironforge.queue.backend import RedisQueue
from ironforge.queue.working import LEASE_MS
from tests.chaos.fleet import Fleet, Group, send
from tests.chaos.ledger import Ledger
from tests.chaos.pacing import during
from tests.redis_server import RedisServer
from tests.waiting import eventually

LEASE_S = LEASE_MS / 1000
LONG_OUTAGE_S = 7.0  # longer than the reaper trusts its own silence
Verb = Literal["child", "host", "supervisor", "stop host", "stop child", "stop supervisor", "redis", "forget"]
_KILLS: tuple[Verb, ...] = ("child", "child", "host", "child", "supervisor")
_STOPS: tuple[Verb, ...] = ("stop host", "stop host", "stop child", "stop host", "stop supervisor")


class Event(NamedTuple):
    """Something done once a share of the jobs has run. `seconds`: how long Redis is away, or processes stand still."""

    share: float
    verb: Verb
    choice: float
    seconds: float


class Sizes(NamedTuple):
    """How much is done to how many jobs. Stops, and hosts that die, only before a share `slow_until`: their jobs wait
    for a lease to run out."""

    jobs: int
    kills: int
    stops: int
    outages: int
    flushes: int
    slow_until: float = 0.95


def plan(sizes: Sizes, seed: int) -> list[Event]:
    """All that will be done, from the seed alone."""
    rng = Random(seed)
    verbs: list[Verb] = []
    for at in range(sizes.kills):
        verbs.append(_KILLS[at % len(_KILLS)])
    for at in range(sizes.stops):
        verbs.append(_STOPS[at % len(_STOPS)])
    verbs += ("redis",) * sizes.outages
    verbs += ("forget",) * sizes.flushes
    events: list[Event] = []
    for at, verb in enumerate(verbs):
        seconds, until = 0.0, 0.95
        if verb == "redis":
            seconds = LONG_OUTAGE_S if at % 4 == 0 else rng.uniform(0, 2)
        elif verb.startswith("stop"):
            seconds, until = LEASE_S + rng.uniform(1.5, 5), sizes.slow_until
        elif verb == "host":
            until = sizes.slow_until
        events.append(Event(rng.uniform(0.02, until), verb, rng.random(), seconds))
    return sorted(events)


@dataclass(slots=True)
class Record:
    """What was done, and when (`time.monotonic()`). `unkept`: processes whose lease nobody kept for a while."""

    done: dict[str, int] = field(default_factory=dict[str, int])
    child_deaths: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    host_deaths: list[tuple[float, list[int]]] = field(default_factory=list[tuple[float, list[int]]])
    unkept: set[int] = field(default_factory=set[int])
    outages: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    restarts_ms: list[float] = field(default_factory=list[float])  # Redis answered again, Unix ms

    def calm(self, begin: float, end: float) -> bool:
        """Whether Redis was there all the time."""
        return self.last_return(begin, end) == begin

    def last_return(self, begin: float, end: float) -> float:
        """When Redis last came back between these instants; `begin` when it never was away."""
        return max((back for gone, back in self.outages if gone < end and begin < back), default=begin)


class Director:
    """Carries the plan out, each event when so many jobs have run.

    Args:
        others: so many groups have to be at work beside one that is stopped.
    """

    def __init__(
        self, fleet: Fleet, server: RedisServer, queue: RedisQueue, ledger: Ledger, others: int
    ) -> None:
        self.record = Record()
        self._fleet = fleet
        self._server = server
        self._queue = queue
        self._ledger = ledger
        self._others = others
        self._stops: set[asyncio.Task[None]] = set()

    async def carry_out(self, events: list[Event], jobs: int) -> None:
        for event in events:
            await eventually(lambda event=event: self._ended() >= event.share * jobs, 600, "jobs go on")
            await self._do(event)
            self.record.done[event.verb] = self.record.done.get(event.verb, 0) + 1
        await asyncio.gather(*self._stops)

    def _ended(self) -> int:
        self._ledger.read()
        return self._ledger.ended

    async def _do(self, event: Event) -> None:
        if event.verb == "redis":
            await self._restart_redis(event.seconds)
        elif event.verb == "forget":
            await self._queue.client.script_flush()
        else:
            least = 1 + self._others if event.verb.startswith("stop") else 1
            ready = await self._fleet.await_ready(least)
            self._hit(ready[int(event.choice * len(ready))], event)

    def _hit(self, group: Group, event: Event) -> None:
        children = group.children()
        match event.verb:
            case "child":
                victim = children[int(event.choice * 97) % len(children)]
                send([victim], signal.SIGKILL)
                self.record.child_deaths.append((time.monotonic(), victim))
            case "host":
                pids = self._fleet.kill_host(group)
                self.record.host_deaths.append((time.monotonic(), pids))
                self.record.unkept.update(pids)
                self._fleet.start()
            case "supervisor":
                self.record.unkept.update(self._fleet.kill_supervisor(group))
                self._fleet.start()
            case _:
                group.busy = True
                if event.verb != "stop child":
                    self.record.unkept.update(children)
                stopped = {"stop host": [group.pid, *children], "stop child": children[:1]}
                stop = asyncio.create_task(
                    self._stop(group, stopped.get(event.verb, [group.pid]), event.seconds)
                )
                self._stops.add(stop)

    async def _stop(self, group: Group, pids: list[int], seconds: float) -> None:
        send(pids, signal.SIGSTOP)
        await during(seconds)
        send(pids, signal.SIGCONT)
        group.busy = False

    async def _restart_redis(self, away_s: float) -> None:
        gone = time.monotonic()
        self._server.kill()
        await during(away_s)
        await asyncio.to_thread(self._server.start)
        self.record.outages.append((gone, time.monotonic()))
        self.record.restarts_ms.append(time.time() * 1000)
