"""A proxy in front of the test's Redis, and a queue that speaks through it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironforge.queue.backend import RedisQueue
from tests.faults.proxy import FaultProxy


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
