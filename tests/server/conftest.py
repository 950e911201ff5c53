"""The server on the test's own namespace: in-process for answers, on a real socket for streams and connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from ironforge.cli.server import listen
from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.queue.backend import RedisQueue
from ironforge.server.app import create_app
from ironforge.server.serving import Serving
from tests.queue.state import Lane


@pytest.fixture
def settings(redis_url: str, namespace: str) -> Settings:
    return Settings(redis_url=redis_url, namespace=namespace)


@pytest.fixture
async def forge(settings: Settings) -> AsyncIterator[Forge]:
    forge = Forge(settings=settings)
    yield forge
    await forge.aclose()


@pytest.fixture
async def client(forge: Forge) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(forge), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        yield client


@pytest.fixture
async def lane(queue: RedisQueue) -> Lane:
    return await Lane(queue).register()


class Served:
    """A server on a free loopback port, in this very loop."""

    def __init__(self, forge: Forge) -> None:
        self._socket = listen("127.0.0.1", 0)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.app = create_app(forge)
        self.serving = Serving(self.app)
        self._task = asyncio.create_task(self.serving.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        self.serving.stop()
        await self._task
        self._socket.close()


@pytest.fixture
async def served(forge: Forge) -> AsyncIterator[Served]:
    served = Served(forge)
    yield served
    await served.stop()
