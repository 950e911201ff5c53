"""The two lanes of a worker: they take turns, and never take more than their slots."""

from __future__ import annotations

import asyncio
import itertools
import random

from ironforge import Forge
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Turn, TurnReply, WorkerInfo
from ironforge.worker.crew import Crew, CrewOptions
from tests.waiting import eventually


class Together(RedisQueue):
    """Holds replies back until both lanes wait for one, as a Redis does that was asked by both in one step.

    `sent` has the step of the loop in which each turn with a claim was sent.
    """

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__(url, namespace)
        self.step = 0
        self.sent: list[tuple[int, int]] = []
        self._meeting: asyncio.Future[None] | None = None

    async def turn(self, turn: Turn) -> TurnReply:
        self.sent.append((turn.lane, self.step))
        reply = await super().turn(turn)
        if len(reply.jobs) == turn.slots and not self._meeting:
            self._meeting = asyncio.get_running_loop().create_future()
        elif self._meeting:
            meeting, self._meeting = self._meeting, None
            asyncio.get_running_loop().call_soon(meeting.set_result, None)
            if len(reply.jobs) == turn.slots:
                await meeting
            return reply
        if self._meeting:
            await self._meeting
        return reply

    async def count_steps(self) -> None:
        while True:
            self.step += 1
            await asyncio.sleep(0)


async def test_lanes_that_are_answered_together_go_on_one_after_the_other(
    redis_url: str, namespace: str
) -> None:
    forge = Forge(redis_url, namespace=namespace)

    @forge.task("noop")
    async def noop() -> None:  # pyright: ignore[reportUnusedFunction]
        pass

    async with Together(redis_url, namespace) as together:
        await together.enqueue_many([NewJob("noop") for _ in range(200)])
        await together.register("w", WorkerInfo("h", 1, 1, "", ("default",), 10), lease_ms=60_000)
        crew = Crew(together, "w", forge.tasks, CrewOptions(concurrency=10))
        counting = asyncio.create_task(together.count_steps())
        serving = asyncio.create_task(crew.serve())
        try:

            async def all_done() -> bool:
                return sum(queue.completed for queue in await together.read_queues()) == 200

            await eventually(all_done, 20)
        finally:
            counting.cancel()
            crew.stop()
            await serving
        claims = together.sent[2:]  # the very first of both are sent in the same step
        steps = [second[1] - first[1] for first, second in itertools.pairwise(claims)]
        assert len(claims) > 20
        assert 0 not in steps


async def test_claims_that_wait_and_claims_of_ended_runs_never_take_more_than_the_slots(
    redis_url: str, namespace: str
) -> None:
    forge = Forge(redis_url, namespace=namespace)
    rng = random.Random(7)
    running, most, ran = 0, 0, 0

    @forge.task("brief")
    async def brief() -> None:  # pyright: ignore[reportUnusedFunction]
        nonlocal running, most, ran
        running += 1
        most = max(most, running)
        await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=rng.random() * 0.01)
        running -= 1
        ran += 1

    async with RedisQueue(redis_url, namespace) as queue:
        await queue.register("w", WorkerInfo("h", 1, 1, "", ("default",), 6), lease_ms=60_000)
        crew = Crew(queue, "w", forge.tasks, CrewOptions(concurrency=6))
        serving = asyncio.create_task(crew.serve())
        try:
            sent = 0
            while sent < 400:  # now and then nothing, one, or more than there are slots
                size = rng.choice((1, 1, 1, 2, 5, 9))
                await queue.enqueue_many([NewJob("brief") for _ in range(size)])
                sent += size
                left = rng.choice((0, 0, 2, 5))
                await eventually(lambda left=left, sent=sent: ran >= sent - left, 10)
            await eventually(lambda: ran == sent, 10)
        finally:
            crew.stop()
            await serving
        assert most == 6
        assert crew.recycled is False
