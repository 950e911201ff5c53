from __future__ import annotations

import pytest

from ironforge.queue.backend import RedisQueue
from tests.auditor.town import Town, build


@pytest.fixture
async def town(queue: RedisQueue) -> Town:
    return await build(queue)
