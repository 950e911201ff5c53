"""A server of our own for the model: each sequence begins by emptying it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import private_redis


@pytest.fixture(scope="module")
def url() -> Iterator[str]:

    with private_redis() as server:
        yield server.url
