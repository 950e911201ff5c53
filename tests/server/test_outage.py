"""Redis away, silent, and back."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from ironforge.config import Settings
from ironforge.embedded import find_server
from ironforge.forge import Forge
from ironforge.job import new_job_id
from tests.redis_server import RedisServer
from tests.server.conftest import Served
from tests.server.sse import open_stream
from tests.waiting import eventually

CALLS = [
    ("GET", "/health"),
    ("GET", "/jobs"),
    ("POST", "/jobs"),
    ("POST", "/jobs/batch"),
    ("GET", f"/jobs/{new_job_id()}"),
    ("DELETE", f"/jobs/{new_job_id()}"),
    ("POST", f"/jobs/{new_job_id()}/retry"),
    ("GET", "/queues"),
    ("GET", "/queues/stats"),
    ("POST", "/queues/default/pause"),
    ("GET", "/dlq/groups"),
    ("GET", "/workers"),
    ("GET", "/tasks"),
    ("GET", "/metrics"),
]


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    binary, _ = find_server()
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), str(binary))
        server.start()
        yield server
        server.kill()


@pytest.fixture
async def fragile(own_redis: RedisServer, namespace: str) -> AsyncIterator[Served]:
    forge = Forge(settings=Settings(redis_url=own_redis.url, namespace=namespace))
    served = Served(forge)
    yield served
    await served.stop()
    await forge.aclose()


def _body(method: str, path: str) -> dict[str, object] | None:
    if method != "POST" or path.endswith(("retry", "pause")):
        return None
    return {"jobs": [{"kind": "a"}]} if path.endswith("batch") else {"kind": "a"}


async def test_away_and_back(fragile: Served, own_redis: RedisServer) -> None:
    async with (
        httpx.AsyncClient(base_url=fragile.url, timeout=10) as client,
        open_stream(fragile.url) as stream,
    ):
        assert (await client.get("/health")).status_code == 200
        await stream.until(lambda event: event.name == "stats")
        own_redis.kill()
        for method, path in CALLS:
            began = time.monotonic()
            answer = await client.request(method, path, json=_body(method, path))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), (method, path)
            assert time.monotonic() - began < 1
            found = answer.json()
            assert found["type"] == "redis_unavailable" and str(own_redis.socket) not in answer.text
        assert (await client.get("/health")).json()["health"] == "unavailable"
        assert (await client.get("/health/live")).status_code == 200
        await stream.until(lambda event: event.name == "hb" and event.data["redis"] == "away", 3)
        async with open_stream(fragile.url) as late:
            assert (await late.next()).name == "hello"
            await late.until(lambda event: event.name == "hb" and event.data["redis"] == "away", 2)
        own_redis.start()
        await eventually(lambda: _is_well(client), 5, "the server finds its Redis again")
        await stream.until(lambda event: event.name == "hello", 3)
        snapshot = await stream.next()
        assert snapshot.name == "stats"
        await stream.until(lambda event: event.name == "hb" and event.data["redis"] == "ok", 3)
        assert (await client.post("/jobs", json={"kind": "a"})).status_code == 201


async def _is_well(client: httpx.AsyncClient) -> bool:
    return (await client.get("/health")).status_code == 200


async def test_a_silent_redis_is_told_within_five_seconds(fragile: Served, own_redis: RedisServer) -> None:
    assert own_redis.process
    async with (
        httpx.AsyncClient(base_url=fragile.url, timeout=10) as client,
        open_stream(fragile.url) as stream,
    ):
        await stream.until(lambda event: event.name == "stats")
        os.kill(own_redis.process.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            answer = await client.post("/jobs", json={"kind": "a"})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert time.monotonic() - began < 5
            await stream.until(lambda event: event.name == "hb" and event.data["redis"] == "away", 3)
        finally:
            os.kill(own_redis.process.pid, signal.SIGCONT)
        await stream.until(lambda event: event.name == "hb" and event.data["redis"] == "ok", 5)
