"""Every test of the queue ends with the books checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, check_books
from tests.queue.stopped import Stopped
from tests.redis_server import RedisServer, private_redis


@pytest.fixture(autouse=True)
async def books(queue: RedisQueue) -> AsyncIterator[None]:
    yield
    await check_books(queue)


@pytest.fixture
async def lane(queue: RedisQueue) -> Lane:
    return await Lane(queue).register()


@pytest.fixture
async def stopped(queue: RedisQueue) -> Stopped:
    await queue.all_shards()
    return Stopped(queue)


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    with private_redis() as server:
        yield server
