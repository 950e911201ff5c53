"""A server of our own for the model: each sequence begins by emptying it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    from ironforge.embedded import find_server

    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), str(find_server()[0]))
        server.start()
        yield server.url
        server.stop()
