"""A namespace of four shards, its books checked after every test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import shard_of_name

SHARDS = 4


@pytest.fixture
async def queue(redis_url: str, namespace: str) -> AsyncIterator[RedisQueue]:
    async with RedisQueue(redis_url, namespace, shards=SHARDS, shifted_clock=True) as opened:
        yield opened
        assert (await audit(opened)).findings == []


@pytest.fixture(scope="session")
def one_each() -> list[str]:
    """Names of queues, the n-th of which lives in shard n."""
    found: dict[int, str] = {}
    for number in range(1000):
        found.setdefault(shard_of_name(f"q{number}", SHARDS), f"q{number}")
    return [found[shard] for shard in range(SHARDS)]
