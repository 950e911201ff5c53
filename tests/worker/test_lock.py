"""`ctx.lock`: one holder, renewed while held, and what happens when Redis goes away under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from ironforge.context import Context, LockLost
from ironforge.job import Job, JobStatus
from ironforge.queue.backend import RedisQueue
from tests.redis_server import RedisServer, private_redis
from tests.waiting import eventually


def _context(queue: RedisQueue) -> Context:
    return Context(Job("j", "greet", "default", JobStatus.RUNNING), queue)


async def test_one_holder_at_a_time_and_free_again_after_an_error(queue: RedisQueue) -> None:
    inside: list[str] = []

    async def use(name: str) -> None:
        async with _context(queue).lock("door"):
            inside.append(name)
            assert await queue.lock_acquire("door", "else", 1000) is False
            inside.append(name)
            raise ValueError(name)

    found = await asyncio.gather(use("a"), use("b"), return_exceptions=True)
    assert sorted(map(str, found)) == ["a", "b"]
    assert inside[0] == inside[1] and inside[2] == inside[3]
    assert await queue.lock_acquire("door", "else", 1000)


async def test_renewed_for_as_long_as_it_is_held(queue: RedisQueue) -> None:
    key = _held_key(queue)

    async def renewed() -> bool:
        return await queue.client.pttl(key) > 250

    async with _context(queue).lock("door", ttl_s=0.3):
        for _ in range(3):  # down and up again
            await eventually(lambda: _below(queue, key), 2)
            await eventually(renewed, 2)


async def _below(queue: RedisQueue, key: str) -> bool:
    return 0 < await queue.client.pttl(key) < 250


def _held_key(queue: RedisQueue) -> str:
    return queue.keys.prefix + "lock:door"


async def test_a_lock_that_was_taken_away_cancels_its_body(queue: RedisQueue) -> None:
    with pytest.raises(LockLost, match="door"):
        async with _context(queue).lock("door", ttl_s=0.3):
            await queue.client.delete(_held_key(queue))
            await asyncio.Event().wait()


async def test_a_cancellation_from_outside_stays_one(queue: RedisQueue) -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        async with _context(queue).lock("door"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await queue.lock_acquire("door", "else", 1000), "it was released"


@pytest.mark.parametrize("ttl_s", [0, -1, 0.01])
async def test_a_time_that_makes_no_sense(queue: RedisQueue, ttl_s: float) -> None:
    with pytest.raises(ValueError, match="ttl_s"):
        async with _context(queue).lock("door", ttl_s=ttl_s):
            pass


class TestOutage:
    @pytest.fixture
    def server(self) -> Iterator[RedisServer]:
        with private_redis() as server:
            yield server

    @pytest.fixture
    async def queue(self, server: RedisServer) -> AsyncIterator[RedisQueue]:
        async with RedisQueue(server.url, "locks") as queue:
            yield queue

    async def test_who_waits_goes_on_waiting(
        self, server: RedisServer, queue: RedisQueue, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", "ironforge.job")
        server.kill()
        entered = asyncio.Event()

        async def use() -> None:
            async with _context(queue).lock("door"):
                entered.set()

        task = asyncio.create_task(use())
        await eventually(lambda: "waits for Redis" in caplog.text, 5)
        server.start()
        await task
        assert entered.is_set()

    async def test_what_was_done_under_it_counts(self, server: RedisServer, queue: RedisQueue) -> None:
        done = False
        async with _context(queue).lock("door"):
            server.kill()
            done = True
        assert done, "its release failed, which is no error of the job"
