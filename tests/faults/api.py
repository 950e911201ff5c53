"""A REST server behind the proxy, and a client that asks it for a lot at once."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.faults.site import Site
from tests.system.processes import ironforge, running
from tests.waiting import eventually


@dataclass(slots=True)
class Api:
    """Attributes: its address, and the server's process id."""

    url: str
    pid: int


@asynccontextmanager
async def api(here: Site) -> AsyncGenerator[Api]:
    """Ended with the block."""
    log = here.bench.folder / "server.log"
    log.touch()
    command = ironforge("server", "--bind", "127.0.0.1:0")
    context = running(command, here.bench.env, log, cwd=here.bench.folder)
    process = context.__enter__()

    def address() -> str:
        found = re.search(r"listening on (http://[0-9.:]+)", log.read_text())
        return found[1] if found else ""

    try:
        yield Api(await eventually(address, 30, "the server listens"), process.pid)
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@dataclass(slots=True)
class Answers:
    """Of many requests at once: how often each status came, and how long each took."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    took_s: list[float] = field(default_factory=list[float])
    without_retry_after: int = 0
    keys_left: list[str] = field(default_factory=list[str])


async def submit_at_once(url: str, keys: list[str]) -> Answers:
    """One job for each key, all at the same time."""
    found = Answers()
    limits = httpx.Limits(max_connections=len(keys))
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as client:

        async def submit(key: str) -> None:
            began = time.monotonic()
            body = {"kind": "net.nap", "payload": {"s": 0}, "queue": "asked"}
            answer = await client.post("/jobs", json=body, headers={"Idempotency-Key": key})
            found.took_s.append(time.monotonic() - began)
            found.statuses[answer.status_code] += 1
            if answer.status_code == 503:
                found.keys_left.append(key)
                found.without_retry_after += "retry-after" not in answer.headers

        await asyncio.gather(*(submit(key) for key in keys))
    return found


def new_keys(count: int) -> list[str]:
    return [secrets.token_hex(8) for _ in range(count)]
