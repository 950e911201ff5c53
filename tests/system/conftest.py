"""Every system test ends with the auditor: whatever was killed, the books agree."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.chaos.closing import disagreements


@pytest.fixture(autouse=True)
async def books_agree(request: pytest.FixtureRequest, redis_url: str, namespace: str) -> AsyncIterator[None]:
    """Looks at the test's namespace, or at all of them where the test has a server of its own."""
    own = request.getfixturevalue("server") if "server" in request.fixturenames else None
    yield
    if own is None:
        found, _ = await disagreements(redis_url, [namespace])
        assert not found
    elif own.answers():  # else the test left it killed
        found, _ = await disagreements(own.url)
        assert not found
