"""The two lanes of a worker: they take turns, and never take more than their slots."""

from __future__ import annotations

import asyncio
import itertools
import random

from ironforge import Forge
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Turn, TurnReply
from tests.waiting import eventually
from tests.worker.test_crew import serving


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

        async def all_done() -> bool:
            return sum(queue.completed for queue in await together.read_queues()) == 200

        counting = asyncio.create_task(together.count_steps())
        try:
            async with serving(together, forge, concurrency=10) as (crew, task):
                await eventually(all_done, 20)
                crew.stop()
                await task
        finally:
            counting.cancel()
        claims = together.sent[2:]  # the very first of both are sent in the same step
        steps = [second[1] - first[1] for first, second in itertools.pairwise(claims)]
        assert len(claims) > 20
        assert 0 not in steps


class Asking(RedisQueue):
    """`most` is what one lane asked for at most, with its claim that waits and its turn together."""

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__(url, namespace)
        self.most = 0
        self._ahead: dict[int, int] = {}

    async def turn(self, turn: Turn) -> TurnReply:
        self.most = max(self.most, turn.slots + self._ahead.get(turn.lane, 0))
        return await super().turn(turn)

    async def claim_on_wake(self, turn: Turn, timeout_s: float) -> TurnReply:
        self._ahead[turn.lane] = turn.slots
        try:
            return await super().claim_on_wake(turn, timeout_s)
        finally:
            del self._ahead[turn.lane]


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

    async with (
        Asking(redis_url, namespace) as queue,
        serving(queue, forge, concurrency=6) as (crew, task),
    ):
        sent = 0
        while sent < 400:  # now and then nothing, one, or more than there are slots
            size = rng.choice((1, 1, 1, 2, 5, 9))
            await queue.enqueue_many([NewJob("brief") for _ in range(size)])
            sent += size
            left = rng.choice((0, 0, 2, 5))
            await eventually(lambda left=left, sent=sent: ran >= sent - left, 10)
        await eventually(lambda: ran == sent, 10)
        crew.stop()
        await task
        assert most == 6
        assert queue.most == 3  # a lane's half of the slots
        assert crew.recycled is False
