"""Eight clients race on the same few jobs; the history of each job is checked against a model of one."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

from ironforge.errors import InvalidTransition, JobNotFound
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Settlement, Turn, WorkerInfo
from tests.faults.history import Op, State, is_linearizable

CLIENTS = 8
JOBS_AT_ONCE = 10
OPS_A_ROUND = 100
HOUR_MS = 3_600_000
LEASE_MS = 600_000


@dataclass(slots=True)
class Histories:
    """Of racing clients. `unexplained` holds histories that no serial order explains."""

    operations: int = 0
    jobs: int = 0
    effects: Counter[str] = field(default_factory=Counter[str])
    unexplained: list[list[Op]] = field(default_factory=list[list[Op]])


class Arena:
    """A few jobs, each in a queue of its own, and clients that do everything to them at the same time."""

    def __init__(self, queue: RedisQueue, clients: list[RedisQueue], rng: Random) -> None:
        self._clock = itertools.count()
        self._queue = queue
        self._racers = [Racer(at, client, Random(rng.random()), self) for at, client in enumerate(clients)]
        self.ids: list[str] = []
        self.ops: dict[str, list[Op]] = {}

    def now(self) -> int:
        return next(self._clock)

    def note(self, job_id: str, verb: str, about: str, answer: str, called: int) -> None:
        self.ops[job_id].append(Op(verb, about, answer, called, self.now()))

    async def round(self, found: Histories, operations: int) -> None:
        """So many operations on fresh jobs; then each job's history is checked."""
        new = [
            NewJob("mail", queue=f"r{at}", max_retries=100, delay_ms=HOUR_MS if at % 3 == 0 else None)
            for at in range(JOBS_AT_ONCE)
        ]
        jobs = await self._queue.enqueue_many(new)
        self.ids = [job.id for job in jobs]
        self.ops = {job.id: [] for job in jobs}
        share = -(-operations // len(self._racers))
        await asyncio.gather(*(racer.race(share) for racer in self._racers))
        for job in jobs:
            ops = self.ops[job.id]
            found.operations += sum(op.verb != "take_back" for op in ops)
            found.effects.update(f"{op.verb} {op.answer}" for op in ops if op.verb not in ("claim", "get"))
            found.effects["claim"] += sum(op.verb == "claim" and bool(op.answer) for op in ops)
            found.jobs += 1
            if not is_linearizable(ops, State(job.status.value)):
                found.unexplained.append(ops)
        for racer in self._racers:
            await racer.let_go()
        for job_id in self.ids:
            try:
                await self._queue.delete(job_id)
            except JobNotFound:
                pass


class Racer:
    """One client, which is also a worker with one lane."""

    def __init__(self, number: int, queue: RedisQueue, rng: Random, arena: Arena) -> None:
        self._number, self._queue, self._rng, self._arena = number, queue, rng, arena
        self._workers = 0
        self._wid = ""
        self._held: list[tuple[str, str]] = []

    async def race(self, operations: int) -> None:
        verbs: list[tuple[int, Callable[[str], Awaitable[None]]]] = [
            (3, self._retry), (2, self._delete), (2, self._run), (3, self._cancel), (8, self._claim), (6, self._settle),
            (1, self._hand_back), (1, self._reap), (2, self._get),
        ]  # fmt: skip
        if not self._wid:
            await self._register()
        for _ in range(operations):
            (verb,) = self._rng.choices([verb for _, verb in verbs], [weight for weight, _ in verbs])
            await verb(self._rng.choice(self._arena.ids))

    async def let_go(self) -> None:
        """After a round: whatever it holds goes back, so that the jobs can be deleted."""
        await self._queue.hand_back(self._wid, "ended", {})
        self._wid, self._held = "", []

    async def _register(self) -> None:
        self._workers += 1
        self._wid = f"w{self._number}.{self._workers}"
        await self._queue.register(self._wid, WorkerInfo("h", 1, 1, "0", ("r0",), 9), LEASE_MS)

    async def _operate(self, verb: str, job_id: str, done: str, call: Awaitable[object]) -> None:
        called = self._arena.now()
        try:
            answer = await call
            word = answer if isinstance(answer, str) else done
        except InvalidTransition as refused:
            word = str(refused.found)
        except JobNotFound:
            word = "missing"
        self._arena.note(job_id, verb, "", word, called)

    async def _retry(self, job_id: str) -> None:
        await self._operate("retry", job_id, "done", self._queue.retry(job_id))

    async def _run(self, job_id: str) -> None:
        await self._operate("run", job_id, "done", self._queue.run_now(job_id))

    async def _delete(self, job_id: str) -> None:
        if self._rng.random() < 0.3:  # else too many histories end early
            await self._operate("delete", job_id, "deleted", self._queue.delete(job_id))

    async def _cancel(self, job_id: str) -> None:
        async def cancel() -> str:
            _, word = await self._queue.cancel(job_id)
            return "done" if word == "cancelled" else word

        await self._operate("cancel", job_id, "done", cancel())

    async def _get(self, job_id: str) -> None:
        async def get() -> str:
            return (await self._queue.get(job_id)).status.value

        await self._operate("get", job_id, "", get())

    async def _claim(self, job_id: str) -> None:
        called = self._arena.now()
        queue = f"r{self._arena.ids.index(job_id)}"
        reply = await self._queue.turn(Turn(self._wid, 0, secrets.token_hex(6), 1, (queue,)))
        if reply.word == "gone":
            await self._register()
            return
        for job in reply.jobs:
            self._held.append((job_id, job.fence))
        fence = reply.jobs[0].fence if reply.jobs else ""
        self._arena.note(job_id, "claim", self._wid, fence, called)

    async def _settle(self, _: str) -> None:
        """One that it holds, or held: some fences are old by then, and some settlements sent again."""
        if not self._held:
            return
        job_id, fence = self._rng.choice(self._held)
        if self._rng.random() < 0.8:
            self._held.remove((job_id, fence))
        outcome = self._rng.choice(("completed", "retry", "dead", "dead", "cancelled", "released"))
        called = self._arena.now()
        end = Settlement(job_id, fence, outcome, None, "{}", 0 if outcome == "released" else HOUR_MS, "f1")  # type: ignore[arg-type]
        (word,) = (await self._queue.turn(Turn(self._wid, 0, "", 0, (), [end]))).settled
        self._arena.note(job_id, "settle", f"{fence}|{outcome}", word, called)

    async def _hand_back(self, _: str) -> None:
        called, wid = self._arena.now(), self._wid
        if await self._queue.hand_back(wid, "ended", {}) >= 0:
            self._taken_back([wid], called)
        await self._register()

    async def _reap(self, _: str) -> None:
        """Its own lease ends; whoever reaps first takes its jobs back."""
        await self._queue.renew(self._wid, lease_ms=1)
        called = self._arena.now()
        if wids := await self._queue.reap(lease_ms=1):
            self._taken_back(wids, called)

    def _taken_back(self, wids: list[str], called: int) -> None:
        for job_id in self._arena.ids:
            self._arena.note(job_id, "take_back", " ".join(wids), "", called)


async def race(
    url: str, namespace: str, operations: int, seed: int, tell: Callable[[str], None] | None = None
) -> Histories:
    """So many operations by eight clients, a hundred on ten jobs at a time."""
    found = Histories()
    async with AsyncExitStack() as stack:
        queues = [await stack.enter_async_context(RedisQueue(url, namespace)) for _ in range(CLIENTS + 1)]
        arena = Arena(queues[0], queues[1:], Random(seed))
        rounds = 0
        while found.operations < operations:
            await arena.round(found, OPS_A_ROUND)
            rounds += 1
            if tell and rounds % 50 == 0:
                tell(f"races: {found.operations:,} of {operations:,} operations")
    return found
