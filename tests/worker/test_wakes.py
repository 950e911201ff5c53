"""A wake-up is never lost: a job that arrives while its worker is busy with an exchange starts at once."""

from __future__ import annotations

import asyncio

from ironforge import Forge
from ironforge.errors import StoreUnavailable
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Turn, TurnReply, WorkerInfo
from tests.waiting import eventually
from tests.worker.test_crew import serving


class LateReplies(RedisQueue):
    """The reply to the first turn that settles comes only after another job's mark was taken."""

    armed = True

    async def turn(self, turn: Turn) -> TurnReply:
        reply = await super().turn(turn)
        if turn.settlements and self.armed:
            self.armed = False
            await self.enqueue(NewJob("note", b'{"name":"second"}'))
            wake = self.keys.wake("default")

            async def taken() -> bool:
                return not await self.client.exists(wake)

            await eventually(taken, 1.0)
        return reply


async def test_a_mark_taken_while_a_turn_is_under_way_is_not_forgotten(
    redis_url: str, namespace: str
) -> None:
    forge = Forge(redis_url, namespace=namespace)
    ran: list[str] = []

    @forge.task("note")
    async def note(name: str) -> None:  # pyright: ignore[reportUnusedFunction]
        ran.append(name)

    async with (
        LateReplies(redis_url, namespace) as queue,
        serving(queue, forge, concurrency=4) as (crew, task),
    ):
        await queue.enqueue(NewJob("note", b'{"name":"first"}'))
        await eventually(lambda: ran == ["first", "second"], 2.0)
        crew.stop()
        await task


class NobodyMayWait(RedisQueue):
    """Its turns are answered; who waits is refused at once, as by a Redis that has no connection left for it."""

    turns = 0

    async def turn(self, turn: Turn) -> TurnReply:
        self.turns += 1
        return await super().turn(turn)

    async def claim_on_wake(self, turn: Turn, timeout_s: float) -> TurnReply:
        raise StoreUnavailable("Redis cannot be reached")


async def test_where_only_waiting_fails_it_asks_now_and_then(redis_url: str, namespace: str) -> None:
    forge = Forge(redis_url, namespace=namespace)
    ran: list[int] = []

    @forge.task("note")
    async def note(n: int) -> None:  # pyright: ignore[reportUnusedFunction]
        ran.append(n)

    async with (
        NobodyMayWait(redis_url, namespace) as queue,
        serving(queue, forge, concurrency=4) as (crew, task),
    ):
        for n in range(3):
            await queue.enqueue(NewJob("note", b'{"n":%d}' % n))
            await eventually(lambda n=n: ran == list(range(n + 1)), 5.0)
        assert queue.turns < 50
        crew.stop()
        await task


class Noting(RedisQueue):
    """Notes when a lane makes ready to wait."""

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__(url, namespace)
        self.notes: list[str] = []

    async def claim_on_wake(self, turn: Turn, timeout_s: float) -> TurnReply:
        self.notes.append("waits")
        return await super().claim_on_wake(turn, timeout_s)


async def test_a_job_begins_before_its_worker_makes_ready_to_wait_for_the_next(
    redis_url: str, namespace: str
) -> None:
    forge = Forge(redis_url, namespace=namespace)

    async with Noting(redis_url, namespace) as queue:

        @forge.task("note")
        async def note() -> None:  # pyright: ignore[reportUnusedFunction]
            queue.notes.append("job")

        async with serving(queue, forge, concurrency=4) as (crew, task):
            for n in range(1, 4):
                await eventually(lambda: queue.notes[-1:] == ["waits"], 5.0)
                queue.notes.clear()
                await queue.enqueue(NewJob("note"))
                await eventually(lambda: "job" in queue.notes, 5.0)
                assert queue.notes[0] == "job", f"job {n} waited until another claim was sent"
            crew.stop()
            await task


async def crash_twice(queue: RedisQueue) -> None:
    """The only job there is; then it is a suspect, which runs alone in its worker."""
    for wid in ("c1", "c2"):
        await queue.register(wid, WorkerInfo("h", 1, 1, "", ("default",), 1))
        assert len((await queue.turn(Turn(wid, 0, wid, 1, ("default",), ()))).jobs) == 1
        await queue.hand_back(wid, "crashed", {})


async def test_a_worker_alone_with_a_suspect_takes_no_mark_from_others(
    redis_url: str, namespace: str
) -> None:
    forge = Forge(redis_url, namespace=namespace)
    held, begun = asyncio.Event(), asyncio.Event()
    ran: list[int] = []

    @forge.task("suspect")
    async def suspect() -> None:  # pyright: ignore[reportUnusedFunction]
        begun.set()
        await held.wait()

    @forge.task("note")
    async def note(n: int) -> None:  # pyright: ignore[reportUnusedFunction]
        ran.append(n)

    async with RedisQueue(redis_url, namespace) as queue, RedisQueue(redis_url, namespace) as other:
        await queue.enqueue(NewJob("suspect"))
        await crash_twice(queue)

        async def note_runs(n: int) -> None:
            await queue.enqueue(NewJob("note", b'{"n":%d}' % n))
            await eventually(lambda: n in ran, 2.0)

        async with serving(queue, forge, wid="alone", concurrency=4) as (alone, alone_task):
            try:
                await asyncio.wait_for(begun.wait(), 5)
                async with serving(other, forge, wid="free", concurrency=4) as (free, free_task):
                    for n in range(6):
                        await note_runs(n)
                    free.stop()
                    await free_task
                await queue.enqueue(NewJob("note", b'{"n":6}'))
                held.set()  # the first claims again, with both of its lanes
                await eventually(lambda: 6 in ran, 2.0)
                for n in range(7, 13):
                    await note_runs(n)
            finally:
                held.set()
            alone.stop()
            await alone_task


class LateClaims(RedisQueue):
    """The answer to a claim that waited does not arrive."""

    async def claim_on_wake(self, turn: Turn, timeout_s: float) -> TurnReply:
        reply = await super().claim_on_wake(turn, timeout_s)
        if reply.jobs:
            await asyncio.Event().wait()
        return reply


async def test_a_claim_made_just_as_its_worker_drains_is_handed_back_at_once(
    redis_url: str, namespace: str
) -> None:
    forge = Forge(redis_url, namespace=namespace)
    begun, held = asyncio.Event(), asyncio.Event()

    @forge.task("long")
    async def long() -> None:  # pyright: ignore[reportUnusedFunction]
        begun.set()
        await held.wait()

    async with LateClaims(redis_url, namespace) as queue:
        await queue.enqueue(NewJob("long"))
        async with serving(queue, forge, concurrency=4, shutdown_timeout_s=25) as (crew, task):
            try:
                await asyncio.wait_for(begun.wait(), 5)
                job = await queue.enqueue(NewJob("note"))

                async def status_is(status: JobStatus) -> bool:
                    return (await queue.get(job.id)).status == status

                await eventually(lambda: status_is(JobStatus.RUNNING), 10.0)
                crew.stop(1)
                await eventually(lambda: status_is(JobStatus.QUEUED), 10.0)
                assert (await queue.get(job.id)).retry_count == 0
                assert not task.done()
            finally:
                held.set()
            await task
