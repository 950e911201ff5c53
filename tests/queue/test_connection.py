"""What the queue does when its Redis is away, full, old, or evicts keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from ironforge.errors import ConfigError, StartupError, StoreUnavailable
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.connection import make_client
from ironforge.queue.namespace import refuse_unsafe
from ironforge.queue.node import NodeClient
from tests.queue.state import Lane, check_books
from tests.redis_server import RedisServer
from tests.waiting import eventually


async def test_a_killed_redis_is_one_plain_error_and_work_goes_on_when_it_is_back(
    own_server: RedisServer,
) -> None:
    async with RedisQueue(own_server.url, "t") as queue:
        await queue.enqueue(NewJob("greet"))
        own_server.kill()
        with pytest.raises(StoreUnavailable) as away:
            await queue.enqueue(NewJob("greet"))
        assert str(own_server.folder) not in str(away.value)
        own_server.start()
        job = await queue.enqueue(NewJob("greet"))
        assert (await queue.get(job.id)).status is JobStatus.QUEUED


async def test_a_full_redis_refuses_new_jobs_and_still_drains(own_server: RedisServer) -> None:
    async with RedisQueue(own_server.url, "t") as queue:
        lane = await Lane(queue).register()
        await queue.enqueue_many([NewJob("greet") for _ in range(3)])
        (job, *_) = await lane.claim(1)
        await queue.client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailable, match="out of memory"):
            await queue.enqueue(NewJob("greet"))
        assert await lane.settle(job, "completed") == "ok"
        assert (await queue.beat("w1", {})).word == "ok"
        assert len(await lane.claim(5)) == 2
        await check_books(queue)


async def test_no_blocking_call_outlives_a_dead_server(own_server: RedisServer) -> None:
    async with RedisQueue(own_server.url, "t") as queue:
        import asyncio

        waiting = asyncio.create_task(queue.wait_for_wake(["default"], 30))
        await eventually(lambda: _blocked(own_server), what="the worker blocks on the mark")
        own_server.kill()
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(waiting, 5)


def _blocked(server: RedisServer) -> bool:
    import redis

    client = redis.Redis.from_url(server.url, protocol=3, legacy_responses=False)
    try:
        return bool(client.info("clients")["blocked_clients"])  # type: ignore[index]
    finally:
        client.close()


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"redis_version": "6.2.14"}, "too old"),
        ({"redis_version": "7.0.15", "maxmemory_policy": "allkeys-lru"}, "evicts keys"),
        ({"redis_version": "7.0.15", "maxmemory_policy": "volatile-ttl"}, "evicts keys"),
    ],
)
def test_a_redis_that_would_lose_jobs_is_refused(info: dict[str, str], words: str) -> None:
    with pytest.raises(StartupError, match=words):
        refuse_unsafe(info)


async def test_an_evicting_redis_is_refused_at_the_start_unless_asked_for(own_server: RedisServer) -> None:
    queue = RedisQueue(own_server.url, "t")
    await queue.client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(StartupError, match="noeviction"):
        await queue.open()
    await queue.open(allow_unsafe=True)
    await queue.close()


async def test_a_namespace_split_into_other_shards_is_refused(own_server: RedisServer) -> None:
    queue = RedisQueue(own_server.url, "t", shards=2)
    await queue.client.hset("t:meta", "shards", "4")
    with pytest.raises(StartupError, match="4 shards"):
        await queue.open()
    await queue.close()


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis://h:notaport"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError):
        make_client(url)


async def test_a_cancellation_is_never_lost_in_an_exchange(queue: RedisQueue) -> None:
    """The client itself loses one that comes just as the command was sent: about a third of these."""

    async def cancelled_after(ticks: int) -> bool:
        jobs = [NewJob("greet") for _ in range(300)]
        exchange = asyncio.create_task(queue.enqueue_many(jobs))
        for _ in range(ticks):
            await asyncio.sleep(0)
        asked = exchange.cancel()
        await asyncio.wait([exchange])
        return exchange.cancelled() or not asked

    assert [at for at in range(40) if not await cancelled_after(at % 8)] == []


async def test_what_runs_after_a_cancellation_may_still_speak_to_redis(queue: RedisQueue) -> None:
    async def interrupted() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await queue.enqueue(NewJob("greet"))
            cleaned.append((await queue.health()).durability)
        return "never"

    cleaned: list[str] = []
    task = asyncio.create_task(interrupted())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() and cleaned == ["none"]


async def test_a_caller_without_a_connection_gets_the_next_that_is_free(own_server: RedisServer) -> None:
    client = make_client(own_server.url, connections=2)
    assert isinstance(client, NodeClient)
    pool: Any = client.connection_pool
    try:
        blocked = [
            asyncio.create_task(client.execute_command("BZPOPMIN", f"none:{at}", 0.3)) for at in (1, 2)
        ]
        await eventually(lambda: len(pool._in_use_connections) == 2, 5)
        pings = [asyncio.create_task(client.execute_command("PING")) for _ in range(5)]
        assert await asyncio.gather(*blocked) == [None, None]
        assert await asyncio.wait_for(asyncio.gather(*pings), 5) == [True] * 5
        assert len(pool._in_use_connections) == 0 and len(pool._available_connections) == 2
    finally:
        await client.aclose()


@pytest.mark.parametrize("size", [10, 20_000_000])
async def test_a_server_that_reads_nothing_is_given_up_in_time(own_server: RedisServer, size: int) -> None:
    """Also where the socket cannot take at once what is sent."""
    client = make_client(own_server.url, socket_timeout_s=0.3)
    assert isinstance(client, NodeClient)
    try:
        assert await client.execute_command("PING") is True
        with own_server.frozen(), pytest.raises(RedisTimeoutError):
            await asyncio.wait_for(client.execute_command("SET", "key", b"x" * size), 3)
    finally:
        await client.aclose()
