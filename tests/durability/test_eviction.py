"""A Redis that throws keys away when it is full is refused, and told of when it begins to later."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from ironforge.config import Settings
from ironforge.errors import StartupError
from ironforge.forge import Forge
from ironforge.server import overview
from tests.durability.servers import Server, server
from tests.server.conftest import Served
from tests.system.processes import await_text, environment, ironforge, running
from tests.waiting import eventually

EVICTING = [
    "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
]  # fmt: skip
FIX = "redis-cli CONFIG SET maxmemory-policy noeviction"


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with server("--appendonly", "yes") as started:
        yield started


@pytest.fixture
def evicting(redis: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    redis.config_set(maxmemory_policy=getattr(request, "param", "allkeys-lru"))
    yield redis
    redis.config_set(maxmemory_policy="noeviction")


@pytest.mark.parametrize("evicting", EVICTING, indirect=True)
async def test_a_program_refuses_each_policy_unless_told_otherwise(
    evicting: Server, request: pytest.FixtureRequest
) -> None:
    forge = Forge(evicting.url)
    with pytest.raises(StartupError) as refused:
        await forge.connect()
    assert FIX in str(refused.value) and request.node.callspec.params["evicting"] in str(refused.value)
    await forge.connect(allow_unsafe=True)
    await forge.aclose()


async def test_noeviction_is_taken(redis: Server) -> None:
    async with Forge(redis.url) as forge:
        assert (await forge.queue.health()).policy == "noeviction"


def test_server_and_worker_refuse_and_can_be_told_otherwise(evicting: Server, tmp_path: Path) -> None:
    env = environment(evicting.url, "evicting")
    commands = {"server": ["server", "--bind", "127.0.0.1:0"], "worker": ["worker"]}
    for words in commands.values():
        done = subprocess.run(ironforge(*words), env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert FIX in done.stderr.strip().splitlines()[-1] and "--allow-unsafe-redis" in done.stderr
    with ExitStack() as stack:
        for name, words in commands.items():
            log = tmp_path / name
            stack.enter_context(running(ironforge(*words, "--allow-unsafe-redis"), env, log))
        await_text(tmp_path / "server", "listening")
        await_text(tmp_path / "worker", "worker ready")
        assert (
            "throws keys away when it is full (maxmemory-policy allkeys-lru)"
            in (tmp_path / "server").read_text()
        )


async def test_one_that_begins_to_evict_later_is_shown_everywhere(
    redis: Server, namespace: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_HEALTH_S", 0.2)  # asked again every 5 s
    forge = Forge(settings=Settings(redis_url=redis.url, namespace=namespace))
    served = Served(forge)
    try:
        async with httpx.AsyncClient(base_url=served.url, timeout=10) as client:

            async def rules() -> set[tuple[str, str]]:
                found = (await client.get("/queues/stats")).json()["attention"]
                return {(one["rule"], one["severity"]) for one in found}

            assert ("eviction", "bad") not in await rules()
            assert (await client.get("/health")).json()["warnings"] == []
            request.getfixturevalue("evicting")

            async def told() -> bool:
                return ("eviction", "bad") in await rules()

            await eventually(told, 20, "attention tells of it")
            assert "allkeys-lru" in (await client.get("/health")).json()["warnings"][0]
    finally:
        await served.stop()
        await forge.aclose()
    done = _doctor(redis.url, namespace)
    eviction = next(check for check in json.loads(done.stdout)["checks"] if check["name"] == "eviction")
    assert done.returncode == 1 and not eviction["well"] and "noeviction" in eviction["advice"]


def _doctor(url: str, namespace: str) -> subprocess.CompletedProcess[str]:
    env = environment(url, namespace)
    return subprocess.run(ironforge("doctor", "--json"), env=env, capture_output=True, text=True, timeout=60)
