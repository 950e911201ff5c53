"""A Redis of our own for the whole run: the embedded binary on a unix socket; a namespace per test."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ironforge.queue.backend import RedisQueue
from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Shared by all tests. One that kills or fills its Redis starts a RedisServer of its own."""
    from ironforge.embedded import find_server

    binary, _ = find_server()
    # Not tmp_path: a socket's path is limited to 107 bytes, and pytest's get long.
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), str(binary))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def namespace() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def queue(redis_url: str, namespace: str) -> AsyncIterator[RedisQueue]:
    """A queue whose clock tests can move: see `move_clock`."""
    async with RedisQueue(redis_url, namespace, shifted_clock=True) as opened:
        yield opened
