"""A Redis of one server, a proxy in front of it, and queues that speak through it and past it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironforge.queue.backend import RedisQueue
from tests.faults.proxy import FaultProxy
from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    """Whichever form of Redis the other tests run on: the proxy stands before one server."""
    return redis_server.url


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[FaultProxy]:
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        async with FaultProxy(redis_url, Path(folder), seed=7) as proxy:
            yield proxy


@pytest.fixture
async def direct(redis_url: str, namespace: str) -> AsyncIterator[RedisQueue]:
    """The same namespace, with nothing in between."""
    async with RedisQueue(redis_url, namespace) as queue:
        yield queue


@pytest.fixture
async def through(proxy: FaultProxy, namespace: str) -> AsyncIterator[RedisQueue]:
    """A queue whose every byte passes the proxy."""
    async with RedisQueue(proxy.url, namespace) as queue:
        yield queue
