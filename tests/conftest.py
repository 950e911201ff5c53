"""A Redis of our own for the whole run: the embedded binary on a unix socket; a namespace per test.

IRONFORGE_TEST_REDIS is the path of another server to run on, IRONFORGE_TEST_FORM another form of it (sentinel, cluster).
"""

from __future__ import annotations

import os
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
    # Not tmp_path: a socket's path is limited to 107 bytes, and pytest's get long.
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), _binary())
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    form = os.environ.get("IRONFORGE_TEST_FORM")
    if not form:
        server: RedisServer = request.getfixturevalue("redis_server")
        yield server.url
        return
    from tests.forms.served import served

    with tempfile.TemporaryDirectory(prefix="if-") as folder, served(form, Path(folder), _binary()) as url:
        yield url


def _binary() -> str:
    from ironforge.embedded import find_server

    return os.environ.get("IRONFORGE_TEST_REDIS") or str(find_server()[0])


@pytest.fixture
def namespace() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def queue(redis_url: str, namespace: str) -> AsyncIterator[RedisQueue]:
    """A queue whose clock tests can move: see `move_clock`."""
    async with RedisQueue(redis_url, namespace, shifted_clock=True) as opened:
        yield opened
