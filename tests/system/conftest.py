"""Every system test ends with the auditor: whatever was killed, the books agree."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue

# Who was killed may still have a lease: a job that came due since is late for a reason.
FORGIVEN = {"overdue"}


@pytest.fixture(autouse=True)
async def books_agree(request: pytest.FixtureRequest, redis_url: str, namespace: str) -> AsyncIterator[None]:
    """Looks at the test's namespace, or at all of them where the test has a server of its own."""
    own = request.getfixturevalue("server") if "server" in request.fixturenames else None
    yield
    if own and not own.answers():  # the test left it killed
        return
    url, names = (own.url, None) if own else (redis_url, [namespace])
    async with RedisQueue(url, "none") as queue:
        if names is None:
            names = [key.decode().removesuffix(":meta") async for key in queue.client.scan_iter("*:meta")]
            names = [name for name in names if "{" not in name]
    for name in names:
        async with RedisQueue(url, name) as queue:
            found = [one for one in (await audit(queue)).findings if one.rule not in FORGIVEN]
        assert not found, f"namespace {name}: {found}"
