"""A caller that does everything the queue can do, at random, to jobs of its own; sends again what was not answered.

It sends again as the product's own callers do: a job under the id it made beforehand, a turn with its token and
fences, an operator's call with its Idempotency-Key. So it knows what every answer has to be.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

from ironforge.errors import IdempotencyConflict, StoreUnavailable
from ironforge.forge import request_hash
from ironforge.job import NewJob, Priority
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Once, Settlement, Turn, WorkerInfo
from tests.faults.book import FINGERPRINT, Book, Entry
from tests.faults.web import Web

T = TypeVar("T")
KINDS = ("mail", "report", "thumb")
HOUR_MS = 3_600_000
SOON_MS = 5
ERROR = '{"type":"ValueError","message":"no","traceback":""}'
LEASE_MS = 600_000


class Actor:
    """Has a queue, a worker and a lock of its own.

    Attributes:
        done: operations that were answered, by verb.
        sent: how often they were sent for that.
    """

    def __init__(self, number: int, queue: RedisQueue, web: Web, rng: Random) -> None:
        self.book = Book()
        self.done: Counter[str] = Counter()
        self.sent = 0
        self.queue_name = f"a{number}"
        self._queue = queue
        self._web = web
        self._rng = rng
        self._number = number
        self._workers = 0
        self._wid = ""
        self._paused = False
        self._lock_token = ""
        self._ticks = 0
        self._turns: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (12, self._enqueue), (4, self._batch), (6, self._submit), (18, self._claim), (24, self._turn), (4, self._progress),
            (6, self._cancel), (8, self._retry), (5, self._run_now), (4, self._delete), (1, self._pause), (2, self._lock),
            (1, self._renew), (1, self._beat), (1, self._hand_back), (1, self._lapse), (2, self._fall_due), (1, self._trim),
            (1, self._leave),
        ]  # fmt: skip

    async def act(self, operations: int) -> None:
        """So many operations, each until it was answered."""
        await self._register()
        await self._enqueue()  # makes the queue
        verbs = [verb for _, verb in self._turns]
        weights = [weight for weight, _ in self._turns]
        while self.done.total() < operations:
            (verb,) = self._rng.choices(verbs, weights)
            await verb()

    async def insist(self, verb: str, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of a call, sent again until there is one."""
        while True:
            self.sent += 1
            try:
                answer = await call()
            except StoreUnavailable:
                continue
            self.done[verb] += 1
            return answer

    # -- jobs come in -----------------------------------------------------------------------------------------------

    def _new(self) -> NewJob:
        rng = self._rng
        return NewJob(
            rng.choice(KINDS),
            b'{"n":%d}' % rng.randrange(10**6),
            self.queue_name,
            rng.choice(tuple(Priority)),
            max_retries=rng.randrange(3),
            delay_ms=HOUR_MS if rng.random() < 0.2 else None,
            retention_ms=1 if rng.random() < 0.2 else None,
        )

    async def _enqueue(self) -> None:
        new = self._new().with_id()
        job = await self.insist("enqueue", lambda: self._queue.enqueue(new))
        entry = self.book.made(new)
        self.book.expect((job.id, job.status) == (entry.id, entry.status), f"enqueue gave {job}")

    async def _batch(self) -> None:
        batch = [self._new() for _ in range(self._rng.randrange(2, 12))]
        if self._over_http():
            del batch[
                2:
            ]  # each takes three exchanges, and all of them have to arrive in one and the same try
            keys = [secrets.token_hex(8) for _ in batch]
            jobs = await self.insist("POST /jobs/batch", lambda: self._web.submit_batch(batch, keys))
        else:
            for new in batch:
                new.with_id()
            jobs = await self.insist("enqueue_many", lambda: self._queue.enqueue_many(batch))
        entries = [self.book.made(new) for new in batch]
        self.book.expect(
            [job.id for job in jobs] == [entry.id for entry in entries], "a batch lost its order"
        )

    async def _submit(self) -> None:
        key, new = secrets.token_hex(8), self._new()
        hashed = request_hash(new)
        if self._over_http():
            job, _ = await self.insist("POST /jobs", lambda: self._web.submit(new, key, hashed))
            same, created = await self.insist("POST /jobs", lambda: self._web.submit(new, key, hashed))
            self.book.made(new)
            self.book.expect(same.id == job.id and not created, "a key stood for two jobs")
            return
        job, _ = await self.insist("submit", lambda: self._queue.submit(new, key, hashed))
        self.book.made(new)
        again = NewJob(new.kind, new.payload_json, new.queue)
        same, created = await self.insist("submit", lambda: self._queue.submit(again, key, hashed))
        self.book.expect(same.id == job.id == new.id and not created, "a key stood for two jobs")
        if self._rng.random() < 0.2:
            try:
                await self.insist("submit", lambda: self._queue.submit(self._new(), key, "another"))
            except IdempotencyConflict:
                self.done["submit"] += 1
            else:
                self.book.wrong.append("a key was taken for another request")

    # -- a worker's life --------------------------------------------------------------------------------------------

    async def _register(self) -> None:
        self._workers += 1
        self._wid = f"w{self._number}.{self._workers}"
        info = WorkerInfo("host", 11, 10, "0", (self.queue_name,), 50, {})
        # False after a lost reply: the id is random, so whoever has it is this very worker.
        await self.insist("register", lambda: self._queue.register(self._wid, info, LEASE_MS))

    async def _claim(self) -> None:
        await self._send_turn(self._rng.randrange(1, 6), [])

    async def _turn(self) -> None:
        """Settles, and claims for the slots that this frees, in one exchange: as a lane does."""
        held = self._some(self.book.of("running"), self._rng.randrange(1, 5))
        if held:
            await self._send_turn(
                len(held) if self._rng.random() < 0.5 else 0, [(one, *self._outcome()) for one in held]
            )

    def _outcome(self) -> tuple[str, int]:
        outcome = self._rng.choice(
            ("completed", "completed", "retry", "retry", "dead", "cancelled", "released")
        )
        return outcome, self._rng.choice((0, HOUR_MS)) if outcome == "released" else HOUR_MS

    async def _send_turn(self, slots: int, ends: list[tuple[Entry, str, int]]) -> None:
        settlements = [
            Settlement(
                entry.id, entry.fence, outcome, b"1" if outcome == "completed" else None,  # type: ignore[arg-type]
                ERROR if outcome in ("retry", "dead") else None, delay_ms, FINGERPRINT,
            )
            for entry, outcome, delay_ms in ends
        ]  # fmt: skip
        turn = Turn(self._wid, 0, secrets.token_hex(6), slots, (self.queue_name,), settlements)
        reply = await self.insist("turn", lambda: self._queue.turn(turn))
        for (entry, outcome, delay_ms), word in zip(ends, reply.settled, strict=True):
            self.book.ended(entry, outcome, delay_ms)
            # Sent again for a job that was trimmed since: there is nothing left that could say "already".
            is_well = word in ("ok", "already") or (word == "refused" and entry.may_be_gone)
            self.book.expect(is_well, f"a settlement was {word}")
        ready = len(self.book.of("queued"))
        wanted = 0 if self._paused else min(slots, ready)
        self.book.expect(
            len(reply.jobs) == wanted, f"{len(reply.jobs)} jobs were claimed instead of {wanted}"
        )
        for job in reply.jobs:
            if job.id in self.book.jobs:
                self.book.claimed(self.book.jobs[job.id], job.fence)
            else:
                self.book.wrong.append(f"{job.id} of another queue was claimed")

    async def _progress(self) -> None:
        if not (entry := self._one(self.book.of("running"))):
            return
        told = b'{"fraction":0.%d}' % self._rng.randrange(10)
        taken = await self.insist(
            "progress", lambda: self._queue.progress(entry.id, entry.fence, told.decode())
        )
        self.book.expect(taken, "progress was refused")
        entry.progress = told

    async def _renew(self) -> None:
        words = await self.insist("renew", lambda: self._queue.renew(self._wid, lease_ms=LEASE_MS))
        self.book.expect(words == ["ok"], f"renew said {words}")

    async def _beat(self) -> None:
        asked = {f"cancel:{one.id}" for one in self.book.of("running") if one.cancel_requested}
        reply = await self.insist("beat", lambda: self._queue.beat(self._wid, {"state": "running"}))
        self.book.expect((reply.word, set(reply.orders)) == ("ok", asked), f"beat said {reply}")

    async def _hand_back(self) -> None:
        held = self.book.of("running")
        crashed = self._rng.random() < 0.5 and all(one.crashes == 0 for one in held)
        cause = "crashed" if crashed else "ended"
        count = await self.insist("hand_back", lambda: self._queue.hand_back(self._wid, cause, {"signal": 9}))
        self.book.expect(count in (len(held), -1), f"{count} jobs were handed back instead of {len(held)}")
        self.book.tally[f"workers_{cause}",] += 1
        for entry in held:
            self.book.ended(entry, cause)
        await self._register()

    async def _lapse(self) -> None:
        """Its lease runs out, and somebody reaps it."""
        await self.insist("renew", lambda: self._queue.renew(self._wid, lease_ms=1))
        while True:
            await self.insist("reap", lambda: self._queue.reap(lease_ms=SOON_MS))
            if (await self.insist("beat", lambda: self._queue.beat(self._wid, {}))).word == "gone":
                break
        self.book.tally["workers_lapsed",] += 1
        for entry in self.book.of("running"):
            self.book.ended(entry, "lapsed")
        await self._register()

    async def _leave(self) -> None:
        held = len(self.book.of("running"))
        word = await self.insist("deregister", lambda: self._queue.deregister(self._wid))
        self.book.expect((word == "busy") == bool(held), f"deregister said {word} with {held} jobs")
        if not held:
            await self._register()

    async def _fall_due(self) -> None:
        """A job for in a moment, promoted by whoever comes first."""
        new = self._new()
        new.delay_ms = SOON_MS
        new.with_id()
        await self.insist("enqueue", lambda: self._queue.enqueue(new))
        entry = self.book.made(new)
        while (await self.insist("get", lambda: self._queue.get(new.id))).status == "scheduled":
            await self.insist("promote_due", self._queue.promote_due)
        entry.status = "queued"

    async def _trim(self) -> None:
        """Who takes the tick of a duty trims. A lost answer may cost the tick; two callers never get it."""
        duty = f"d{self._number}"
        self._ticks += await self.insist("take_tick", lambda: self._queue.take_tick(duty, LEASE_MS))
        self.book.expect(self._ticks <= 1, "a tick was taken twice")
        await self.insist("survey", lambda: self._queue.survey(0))
        await self.insist("trim", self._queue.trim)

    def _over_http(self) -> bool:
        return self._rng.random() < 0.25

    def _operator(self) -> Any:
        """The queue, or the server that speaks to it."""
        return self._web if self._over_http() else self._queue

    # -- an operator ------------------------------------------------------------------------------------------------

    async def _once(self, verb: str, call: Callable[[Once], Awaitable[T]]) -> T:
        """Under a key of its own, and sometimes again though it was answered."""
        once = Once(secrets.token_hex(8), "h")
        answer = await self.insist(verb, lambda: call(once))
        if self._rng.random() < 0.2:
            await self.insist(verb, lambda: call(once))
        return answer

    async def _cancel(self) -> None:
        waiting = self.book.of("queued", "scheduled", "retrying", "running")
        entry = self._one([one for one in waiting if not one.is_brief])
        if not entry:
            return
        by = self._operator()
        _, word = await self._once("cancel", lambda once: by.cancel(entry.id, once=once))
        running = entry.status == "running"
        self.book.expect(word == ("requested" if running else "cancelled"), f"cancel said {word}")
        if running:
            entry.cancel_requested = True
        else:
            entry.status = "cancelled"

    async def _retry(self) -> None:
        entry = self._one([one for one in self.book.of("dead", "cancelled") if not one.may_be_gone])
        if not entry:
            return
        reset, by = self._rng.random() < 0.7, self._operator()
        job = await self._once("retry", lambda once: by.retry(entry.id, reset_retry_count=reset, once=once))
        self.book.retried(entry, reset=reset)
        self.book.expect((job.status, job.generation) == ("queued", entry.generation), f"retry gave {job}")

    async def _run_now(self) -> None:
        if not (entry := self._one(self.book.of("scheduled", "retrying"))):
            return
        by = self._operator()
        job = await self._once("run_now", lambda once: by.run_now(entry.id, once=once))
        self.book.expect(job.status == "queued", f"run gave {job.status}")
        entry.status = "queued"

    async def _delete(self) -> None:
        found = self.book.of("queued", "scheduled", "retrying", "dead", "cancelled")
        entry = self._one([one for one in found if not one.may_be_gone])
        if not entry:
            return
        by = self._operator()
        await self._once("delete", lambda once: by.delete(entry.id, once=once))
        self.book.removed(entry)

    async def _pause(self) -> None:
        # Not over HTTP: that answer is the queue's whole document, which takes so many exchanges that one is always cut.
        verb = self._queue.resume if self._paused else self._queue.pause
        await self._once(verb.__name__, lambda once: verb(self.queue_name, once=once))
        self._paused = not self._paused

    async def _lock(self) -> None:
        """One holder. A release that is sent again says that nobody holds it: it did happen."""
        name, queue = f"l{self._number}", self._queue
        if not self._lock_token:
            token = self._lock_token = secrets.token_hex(8)
            got = await self.insist("lock", lambda: queue.lock_acquire(name, token, LEASE_MS))
            self.book.expect(got, "a free lock was not given")
        token = self._lock_token
        got = await self.insist("lock", lambda: queue.lock_acquire(name, "other", LEASE_MS))
        kept = await self.insist("lock", lambda: queue.lock_renew(name, token, LEASE_MS))
        self.book.expect(not got and kept, "a held lock was given to another")
        if self._rng.random() < 0.5:
            await self.insist("lock", lambda: queue.lock_release(name, token))
            self._lock_token = ""

    def _one(self, found: list[Entry]) -> Entry | None:
        return self._rng.choice(found) if found else None

    def _some(self, found: list[Entry], count: int) -> list[Entry]:
        return self._rng.sample(found, min(count, len(found)))


async def act_all(actors: list[Actor], operations: int) -> None:
    """All at the same time, so many operations together."""
    async with asyncio.TaskGroup() as group:
        for actor in actors:
            group.create_task(actor.act(-(-operations // len(actors))))
