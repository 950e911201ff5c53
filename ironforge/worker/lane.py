"""A lane: half of a worker's slots, and at most one exchange with Redis in flight.

Two of them keep Redis and the worker busy at the same time.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ironforge.errors import LeaseLost, StoreUnavailable
from ironforge.job import Job
from ironforge.periodic import Outage
from ironforge.queue.readings import Settlement, Turn, TurnReply
from ironforge.worker.run import Run, Runner
from ironforge.worker.spawned import end_spawned

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
        self.held = False  # its worker runs a suspect, alone, or is to: what is there is for others
        self.next_due_ms: int | None = None
        self._worker = worker
        self._start = start
        self._on_end = on_end
        self._running: dict[Run, asyncio.Task[None]] = {}
        self._tidying: set[asyncio.Task[None]] = set()
        self._stuck = 0
        self._ended: list[Settlement] = []
        self._changed = asyncio.Event()
        self._claim_wanted = True
        self._turns = 0
        self._under_way: Turn | None = None
        self._ahead: Turn | None = None
        self._claiming_turns = 0
        self._outage = Outage()  # of calls that wait; that turns fail shows elsewhere
        self._wait_failed = False

    @property
    def busy(self) -> bool:
        return bool(self._running or self._ended)

    @property
    def free(self) -> int:
        """Slots that a claim may fill; those that a claim was sent for ahead are not."""
        return self.slots - len(self._running) - self._stuck - (self._ahead.slots if self._ahead else 0)

    @property
    def waits(self) -> bool:
        """Whether it found too little to do, has nothing to tell, and may claim ahead."""
        may_claim = self.idle and not self.held and self.free > 0
        return may_claim and not self._ended and self._under_way is None

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Those that run jobs."""
        return set(self._running.values())

    def runs(self, run: Run) -> bool:
        return run in self._running

    def settles(self, job_id: str, fence: str) -> bool:
        """Whether it has not been answered about the end of that job, or about the claim of that fence."""
        turn = self._under_way
        if turn and (fence.endswith(turn.token) or any(one.job_id == job_id for one in turn.settlements)):
            return True
        if self._ahead and fence.endswith(self._ahead.token):
            return True
        return any(one.job_id == job_id for one in self._ended)

    def wake(self) -> None:
        """There may be something to claim. Until it looked, it does not count as idle."""
        self.idle = self.held = False
        self._claim_wanted = True
        self._changed.set()

    def look(self) -> None:
        """Something about the worker changed: it drains, or goes."""
        self._changed.set()

    async def claim_ahead(self, within_s: float) -> bool:
        """For an idle lane: a claim of what is free now, made the moment there is a mark, or after `within_s` (s).

        Once a later turn of this lane claimed, it takes nothing (see claim.lua): then it is False, and the lane looks
        for itself.
        """
        turn = self._ahead = self._next_turn(self.free, [])
        claimed_before = self._claiming_turns
        try:
            try:
                reply = await self._worker.queue.claim_on_wake(turn, within_s)
            except StoreUnavailable as away:
                # Twice in a row: no connection is left for calls that wait, say, while turns have theirs.
                if self._wait_failed:
                    await self._outage.wait(away)
                self._wait_failed = True
                reply = await self._sent(turn)  # if it was made, its jobs are given again
            else:
                self._wait_failed = False
                self._outage.over()
        finally:
            self._ahead = None
            self._changed.set()
        looked = reply.word != "gone" and self._claiming_turns == claimed_before
        if reply.word != "gone":
            self._take(turn, reply)
        if reply.jobs:
            await asyncio.sleep(0)  # their handlers begin before the next claim is made ready
        if not looked:
            self.wake()
        return looked

    async def serve(self) -> None:
        """Until the worker drains and everything of this lane is settled. Raises LeaseLost."""
        while True:
            self._changed.clear()
            draining = self._worker.draining
            slots = self.free if self._claim_wanted and not draining else 0
            if self._ended or slots > 0:
                await self._turn(slots)
            elif draining and not self._running:
                return
            else:
                self._worker.want_wake()
                await self._changed.wait()

    async def _turn(self, slots: int) -> None:
        ended, self._ended = self._ended, []
        if slots:
            # A wake that comes while this is under way makes it True again.
            self.idle = self._claim_wanted = False
            self._claiming_turns += 1
        turn = self._under_way = self._next_turn(slots, ended)
        reply = await self._sent(turn)
        # One lane after the other: two that go on in the same step of the loop also send in the same step, Redis answers
        # both at once, and from then on the worker waits for Redis and Redis for the worker.
        async with self._worker.floor:
            self._take(turn, reply)
            self._under_way = None
            await asyncio.sleep(0)  # handlers just started run, and quick ones end, before the next turn

    def _next_turn(self, slots: int, ended: list[Settlement]) -> Turn:
        self._turns += 1
        worker = self._worker
        return Turn(worker.wid, self.number, claim_token(self._turns), slots, worker.queues, ended)

    def _take(self, turn: Turn, reply: TurnReply) -> None:
        for settlement, word in zip(turn.settlements, reply.settled, strict=True):
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
        if turn.slots:
            self._claim_wanted = self._claim_wanted or len(reply.jobs) == turn.slots
            self.idle = not self._claim_wanted
            self.next_due_ms = reply.next_due_ms
            self.held = "hold" in reply.orders
            if not self.held:
                self._worker.hold_nobody()
        if turn.settlements and not turn.slots:
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
        # Not by `create_task`: this is no task that a handler started.
        run.task = task = asyncio.Task(self._run(run), loop=asyncio.get_running_loop(), name=f"job {job.id}")
        self._running[run] = task

    async def _run(self, run: Run) -> None:
        settlement = await self._worker.runner.run(run)
        if run.spawned:
            # In a task of its own: this one may be cancelled again, its time being up, and belongs to the run.
            loop = asyncio.get_running_loop()
            tidying = loop.create_task(self._tidy(run, settlement), context=contextvars.Context())
            self._tidying.add(tidying)
            tidying.add_done_callback(self._tidying.discard)
        else:
            self._end(run, settlement)

    async def _tidy(self, run: Run, settlement: Settlement) -> None:
        """Ends what a handler left behind before its slot is free."""
        about = {"job_id": run.job.id, "kind": run.job.kind}
        if await end_spawned(run.spawned, 0.0 if run.stuck else run.grace_s, about):
            self._end(run, settlement)
        else:
            self.give_up(run, settlement)

    def give_up(self, run: Run, settlement: Settlement) -> None:
        """Settles a run that does not end. Its slot is lost until the process is replaced."""
        if run.ended:
            return
        run.stuck = True
        self._stuck += 1
        self._end(run, settlement)
        self._worker.recycle(run)

    def _end(self, run: Run, settlement: Settlement) -> None:
        if run.ended:  # it was given up; whatever it says comes too late
            return
        run.ended = True
        del self._running[run]
        self._ended.append(settlement)
        self._on_end(run, settlement)
        self._claim_wanted = True  # a slot is free, and the turn that settles can claim as well
        self._changed.set()


def claim_token(turn: int) -> str:
    """The token of a lane's n-th turn. By its number a claim is known that a slow network delivers after a later one."""
    return f"{turn:x}.{secrets.token_hex(6)}"


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
    def floor(self) -> asyncio.Lock: ...
    @property
    def draining(self) -> bool: ...
    @property
    def leaving_anyway(self) -> bool: ...
    def obey(self, orders: list[str]) -> None: ...
    def want_wake(self) -> None: ...
    def hold_nobody(self) -> None: ...
    def recycle(self, run: Run) -> None: ...
