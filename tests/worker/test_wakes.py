"""A wake-up is never lost: a job that arrives while its worker is busy with an exchange starts at once."""

from __future__ import annotations

import asyncio

from ironforge import Forge
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
