"""A wake-up is never lost: a job that arrives while its worker is busy with an exchange starts at once."""

from __future__ import annotations

import asyncio

from ironforge import Forge
from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Turn, TurnReply, WorkerInfo
from ironforge.worker.crew import Crew, CrewOptions
from tests.waiting import eventually


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

    async with LateReplies(redis_url, namespace) as queue:
        await queue.register("w", WorkerInfo("h", 1, 1, "", ("default",), 4), lease_ms=60_000)
        crew = Crew(queue, "w", forge.tasks, CrewOptions(concurrency=4))
        serving = asyncio.create_task(crew.serve())
        try:
            await queue.enqueue(NewJob("note", b'{"name":"first"}'))
            await eventually(lambda: ran == ["first", "second"], 2.0)
        finally:
            crew.stop()
            await serving


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

    async with NobodyMayWait(redis_url, namespace) as queue:
        await queue.register("w", WorkerInfo("h", 1, 1, "", ("default",), 4), lease_ms=60_000)
        crew = Crew(queue, "w", forge.tasks, CrewOptions(concurrency=4))
        serving = asyncio.create_task(crew.serve())
        try:
            for n in range(3):
                await queue.enqueue(NewJob("note", b'{"n":%d}' % n))
                await eventually(lambda n=n: ran == list(range(n + 1)), 5.0)
            assert queue.turns < 50
        finally:
            crew.stop()
            await serving
