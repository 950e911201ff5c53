"""A Redis of our own for the whole run: the embedded binary on a unix socket; a namespace per test.

IRONFORGE_TEST_REDIS is the path of another server to run on, IRONFORGE_TEST_FORM another form of it (sentinel, cluster,
or acl: as the user that `ironforge doctor --acl` makes).
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ironforge.queue.backend import RedisQueue
from ironforge.queue.connection import make_client
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
    async with RedisQueue(redis_url, namespace, shifted_clock=True) as opened, _meddling(redis_url):
        yield opened


@asynccontextmanager
async def _meddling(url: str) -> AsyncIterator[None]:
    """What tests do to a queue by hand is not what its own user may do: `queue.client` has every right."""
    if os.environ.get("IRONFORGE_TEST_FORM") != "acl":
        yield
        return
    admin = make_client(url.replace("ironforge:s3cret@", ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            RedisQueue, "client", property(lambda one: admin if one.url == url else one._clients.calls)
        )
        yield
    await admin.aclose()
