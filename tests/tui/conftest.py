"""A console against a real server, both in the test's loop; and one that is fed by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ironforge.cli.server import listen
from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.queue.backend import RedisQueue
from ironforge.server.app import create_app
from ironforge.server.serving import Serving
from ironforge.tui.app import ConsoleApp
from tests.queue.state import Lane
from tests.server.conftest import Served


@pytest.fixture
async def served(redis_url: str, namespace: str) -> AsyncIterator[Served]:
    forge = Forge(settings=Settings(redis_url=redis_url, namespace=namespace))
    served = Served(forge)
    yield served
    await served.stop()
    await forge.aclose()


class ServedAgain(Served):
    """Another server on the port of one that was stopped."""

    def __init__(self, before: Served) -> None:
        self._socket = listen("127.0.0.1", before.port)
        self.port, self.url = before.port, before.url
        self.app = create_app(before.app.state.forge)
        self.serving = Serving(self.app)
        self._task = asyncio.create_task(self.serving.serve(sockets=[self._socket]))


@pytest.fixture
async def lane(queue: RedisQueue) -> Lane:
    return await Lane(queue).register(lease_ms=120_000)


def console_of(served: Served, *, read_only: bool = False) -> ConsoleApp:
    async def prepare(say: Callable[[str], None]) -> str:
        return served.url

    return ConsoleApp(prepare, read_only=read_only)


def fed_console(**options: Any) -> ConsoleApp:
    """A console that never connects: the test puts events into its store."""

    async def prepare(say: Callable[[str], None]) -> str:
        await asyncio.Event().wait()
        return ""

    return ConsoleApp(prepare, **options)
