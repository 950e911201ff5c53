"""Many jobs in one call: parts that are sent one after the other while the next is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from ironforge.errors import StoreFull
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.codec import enqueue_arguments
from ironforge.queue.connection import make_client
from ironforge.queue.node import NodeClient
from ironforge.queue.producing import BATCH
from ironforge.queue.scripts import Argument, stream
from tests.queue.state import Lane
from tests.redis_server import RedisServer
from tests.waiting import wait_until


async def test_all_parts_arrive_in_their_order(queue: RedisQueue, lane: Lane) -> None:
    jobs = await queue.enqueue_many([NewJob("greet", b'{"n":%d}' % at) for at in range(5 * BATCH + 3)])
    assert [job.payload["n"] for job in jobs] == list(range(5 * BATCH + 3))
    claimed = [job for _ in range(6) for job in await lane.claim(BATCH)]
    assert [job.id for job in claimed] == [job.id for job in jobs]


async def test_a_part_that_exists_is_read_and_the_others_are_made(queue: RedisQueue) -> None:
    first = await queue.enqueue_many([NewJob("greet") for _ in range(BATCH + 2)])
    again = [NewJob("other", id=job.id) for job in first[-2:]] + [NewJob("other") for _ in range(BATCH)]
    found = await queue.enqueue_many(again)
    assert [job.kind for job in found] == ["greet"] * 2 + ["other"] * BATCH


async def test_a_server_that_forgot_the_script_gets_every_part(queue: RedisQueue) -> None:
    await queue.client.execute_command("SCRIPT", "FLUSH")
    jobs = await queue.enqueue_many([NewJob("greet") for _ in range(3 * BATCH)])
    assert {job.status for job in await queue.get_many([job.id for job in jobs])} == {JobStatus.QUEUED}


async def test_a_server_that_forgets_the_script_between_two_batches_keeps_their_order(
    queue: RedisQueue, lane: Lane
) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(BATCH + 1)])
    while await lane.claim(BATCH):
        pass
    await queue.client.execute_command("SCRIPT", "FLUSH")
    jobs = await queue.enqueue_many([NewJob("greet") for _ in range(8 * BATCH)])
    claimed = [job for _ in range(8) for job in await lane.claim(BATCH)]
    assert [job.id for job in claimed] == [job.id for job in jobs]


async def test_behind_an_error_no_reply_can_be_taken_for_another(
    own_server: RedisServer, namespace: str
) -> None:
    queue = RedisQueue(own_server.url, namespace)
    shard = (await queue.all_shards())[0]
    one = [enqueue_arguments(new.with_id(0)) for new in [NewJob("greet"), NewJob("greet")]]
    calls: list[tuple[Argument, ...]] = [(1, *one[0]), ("no number",), (1, *one[1])]
    given: list[Any] = []
    async with aclosing(
        stream(shard.client, shard.script("enqueue"), shard.keys.prefix, calls, shard.known_scripts)
    ) as replies:
        with pytest.raises(ResponseError):
            async for reply in replies:
                given.append(reply)
    assert len(given) == 1
    assert (await queue.read_queue("default")).queued == 2
    await queue.close()


async def test_a_full_server_refuses_and_the_connection_goes_on(
    own_server: RedisServer, namespace: str
) -> None:
    async with RedisQueue(own_server.url, namespace) as full:
        await full.client.execute_command("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(StoreFull):
            await full.enqueue_many([NewJob("greet") for _ in range(8 * BATCH)])
        await full.client.execute_command("CONFIG", "SET", "maxmemory", "0")
        assert len(await full.enqueue_many([NewJob("greet") for _ in range(8 * BATCH)])) == 8 * BATCH
        assert (await full.read_queue("default")).queued == 8 * BATCH


@pytest.fixture
def node(own_server: RedisServer) -> Iterator[NodeClient]:
    client = make_client(own_server.url)
    assert isinstance(client, NodeClient)
    yield client


async def test_each_command_is_sent_before_the_next_is_asked_for(
    node: NodeClient, own_server: RedisServer
) -> None:
    beside = Redis.from_url(own_server.url)
    seen: list[int] = []

    def made() -> int:
        found: Any = beside.get("made")
        return int(found or 0)

    def commands() -> Iterator[tuple[Any, ...]]:
        for at in range(6):
            wait_until(lambda at=at: made() >= at, 5)
            seen.append(made())
            yield ("INCR", "made")

    async with aclosing(node.stream(commands())) as replies:
        assert [reply async for reply in replies] == [1, 2, 3, 4, 5, 6]
    assert seen == [0, 1, 2, 3, 4, 5]
    beside.close()
    await node.aclose()


async def test_a_stream_that_is_left_early_leaves_no_reply_to_another(node: NodeClient) -> None:
    async with aclosing(node.stream([("ECHO", "a"), ("NOPE",), *[("ECHO", "b")] * 8])) as replies:
        assert await anext(replies) == b"a"
        assert isinstance(await anext(replies), ResponseError)
    assert await node.execute_command("ECHO", "mine") == b"mine"
    await node.aclose()


async def test_a_reply_that_comes_after_the_stream_was_left_reaches_nobody(node: NodeClient) -> None:
    async with aclosing(
        node.stream([("ECHO", "a"), ("BZPOPMIN", "none", 0.3), *[("ECHO", "b")] * 3])
    ) as replies:
        assert await anext(replies) == b"a"
    assert await node.execute_command("ECHO", "mine") == b"mine"
    await node.aclose()
