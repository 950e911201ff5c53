"""The server as a part of somebody's own application, and many requests at once."""

from __future__ import annotations

import asyncio

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.queue.backend import RedisQueue
from ironforge.server.app import create_app


async def test_mounted_elsewhere_it_needs_no_start(redis_url: str, namespace: str) -> None:
    forge = Forge(settings=Settings(redis_url=redis_url, namespace=namespace, token="t"))
    outer = Starlette(routes=[Mount("/forge", create_app(forge))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://localhost") as client:
        assert (await client.get("/forge/health")).json()["status"] == "ok", "open without a token here too"
        assert (await client.post("/forge/jobs", json={"kind": "a"})).status_code == 401
        client.headers["authorization"] = "Bearer t"
        answer = await client.post("/forge/jobs", json={"kind": "a"})
        assert (
            answer.status_code == 201 and answer.headers["location"] == f"/forge/jobs/{answer.json()['id']}"
        )
        assert (await client.get(answer.headers["location"])).json() == answer.json()
        batch = await client.post(
            "/forge/jobs/batch", json={"jobs": [{"kind": "b", "payload": {"x": "x" * 30}}] * 10_000}
        )
        assert batch.status_code == 201, "the larger limit of a batch holds here too"
        assert (await client.get("/forge/docs")).status_code == 200
        assert (await client.get("/jobs")).status_code == 404
    await forge.aclose()


async def test_five_hundred_at_once(client: httpx.AsyncClient, queue: RedisQueue) -> None:
    """More than there are connections to Redis: they wait for one, none is lost and none fails."""
    posts = (client.post("/jobs", json={"kind": "a", "payload": {"n": at}}) for at in range(250))
    reads = (client.get("/queues/stats") for _ in range(250))
    answers = await asyncio.gather(*posts, *reads)
    assert {answer.status_code for answer in answers} == {200, 201}
    assert (await queue.read_queue("default")).queued == 250
