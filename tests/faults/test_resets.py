"""Connections that are reset, on the loop that workers really use: there, writing to a closed one is no OSError."""

from __future__ import annotations

import asyncio

from ironforge.errors import StoreUnavailable
from ironforge.queue.backend import RedisQueue
from ironforge.worker.loops import run_loop
from tests.faults.proxy import Cut, FaultProxy

CALLS = 6


async def _answers(queue: RedisQueue) -> list[str]:
    """What so many calls at once come to."""
    found = await asyncio.gather(*(queue.now_ms() for _ in range(CALLS)), return_exceptions=True)
    return [type(one).__name__ for one in found]


def test_idle_connections_that_were_reset_are_made_anew(redis_url: str, namespace: str) -> None:
    async def main() -> list[list[str]]:
        async with FaultProxy(redis_url) as proxy, RedisQueue(proxy.url, namespace) as queue:
            found: list[list[str]] = []
            for _ in range(5):
                found.append(await _answers(queue))
                proxy.reset_all()
                while proxy.links:
                    await asyncio.sleep(0)
                for _ in range(20):  # the client's loop hears of it
                    await asyncio.sleep(0)
            return found

    assert run_loop(main()) == [["int"] * CALLS] * 5


def test_a_reset_at_any_instant_of_a_call_is_a_store_that_is_away(redis_url: str, namespace: str) -> None:
    async def main() -> set[str]:
        async with FaultProxy(redis_url) as proxy, RedisQueue(proxy.url, namespace) as queue:
            kinds: set[str] = set()
            for turns in range(60):
                proxy.decide = lambda _, request: Cut("before") if request[0] == b"TIME" else None
                calls = asyncio.create_task(_answers(queue))
                for _ in range(turns % 15):
                    await asyncio.sleep(0)
                proxy.reset_all()
                kinds |= set(await calls)
            return kinds

    assert run_loop(main()) <= {"int", StoreUnavailable.__name__}
