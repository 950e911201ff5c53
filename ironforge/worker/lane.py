"""A lane: half of a worker's slots, and at most one exchange with Redis in flight.

Two of them keep Redis and the worker busy at the same time.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ironforge.errors import LeaseLost, StoreUnavailable
from ironforge.job import Job
from ironforge.periodic import Outage
from ironforge.queue.readings import Settlement, Turn, TurnReply
from ironforge.worker.run import Run, Runner

if TYPE_CHECKING:
    from ironforge.queue.backend import RedisQueue

log = logging.getLogger("ironforge.worker")


class Lane:
    """Claims into its slots, runs, settles; every turn is one round trip.

    Args:
        number: 0 or 1.
        slots: at most so many jobs at once.
        start: makes a Run of a claimed job (the worker gives it a slot and a context).
        on_end: called with each Run that ended.
    """

    def __init__(
        self,
        number: int,
        slots: int,
        worker: LaneOwner,
        start: Callable[[Job], Run],
        on_end: Callable[[Run, Settlement], None],
    ) -> None:
        self.number = number
        self.slots = slots
        self.idle = False  # asked for work and got less than it had room for
        self.next_due_ms: int | None = None
        self._worker = worker
        self._start = start
        self._on_end = on_end
        self._running: set[asyncio.Task[None]] = set()
        self._stuck = 0
        self._ended: list[Settlement] = []
        self._changed = asyncio.Event()
        self._claim_wanted = True

    @property
    def busy(self) -> bool:
        return bool(self._running or self._ended)

    @property
    def free(self) -> int:
        return self.slots - len(self._running) - self._stuck

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Those that run jobs."""
        return set(self._running)

    def wake(self) -> None:
        """There may be something to claim. Until it looked, it does not count as idle."""
        self.idle = False
        self._claim_wanted = True
        self._changed.set()

    def look(self) -> None:
        """Something about the worker changed: it drains, or goes."""
        self._changed.set()

    async def serve(self) -> None:
        """Until the worker drains and everything of this lane is settled. Raises LeaseLost."""
        while True:
            self._changed.clear()
            draining = self._worker.draining
            slots = self.free if self._claim_wanted and not draining else 0
            if self._ended or slots > 0:
                await self._turn(slots)
                await asyncio.sleep(0)  # handlers just started run, and quick ones end, before the next turn
            elif draining and not self._running:
                return
            else:
                await self._changed.wait()

    async def _turn(self, slots: int) -> None:
        ended, self._ended = self._ended, []
        if slots:
            # A wake that comes while this is under way makes it True again.
            self.idle = self._claim_wanted = False
        turn = Turn(self._worker.wid, self.number, secrets.token_hex(6), slots, self._worker.queues, ended)
        reply = await self._sent(turn)
        for settlement, word in zip(ended, reply.settled, strict=True):
            if word == "refused":
                log.warning(
                    "a result came too late: the job was given to another",
                    extra={"job_id": settlement.job_id},
                )
        if reply.word == "gone":
            raise LeaseLost(self._worker.wid)
        self._worker.obey(reply.orders)
        for job in reply.jobs:
            self._begin(job)
        if slots:
            self._claim_wanted = self._claim_wanted or len(reply.jobs) == slots
            self.idle = not self._claim_wanted
            self.next_due_ms = reply.next_due_ms
            if self.idle:
                self._worker.want_wake()
        if ended and not slots:
            self._claim_wanted = True

    async def _sent(self, turn: Turn) -> TurnReply:
        """The same turn until it was answered: a lost reply is given again, nothing happens twice."""
        outage = Outage()
        while True:
            try:
                reply = await self._worker.queue.turn(turn)
            except StoreUnavailable as away:
                if self._worker.leaving_anyway:
                    raise
                await outage.wait(away)
            else:
                outage.over()
                return reply

    def _begin(self, job: Job) -> None:
        run = self._start(job)
        task = asyncio.create_task(self._run(run), name=f"job {job.id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, run: Run) -> None:
        settlement = await self._worker.runner.run(run)
        if run.stuck:
            self._stuck += 1
            self._worker.recycle(run)
        self._ended.append(settlement)
        self._on_end(run, settlement)
        self._claim_wanted = True  # a slot is free, and the turn that settles can claim as well
        self._changed.set()


class LaneOwner(Protocol):
    """What a lane needs of its worker."""

    @property
    def wid(self) -> str: ...
    @property
    def queues(self) -> tuple[str, ...]: ...
    @property
    def queue(self) -> RedisQueue: ...
    @property
    def runner(self) -> Runner: ...
    @property
    def draining(self) -> bool: ...
    @property
    def leaving_anyway(self) -> bool: ...
    def obey(self, orders: list[str]) -> None: ...
    def want_wake(self) -> None: ...
    def recycle(self, run: Run) -> None: ...
