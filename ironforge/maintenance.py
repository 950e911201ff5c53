"""What any worker (and the server) does for all: promote, reap, trim. A tick is taken, so many do the work of one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ironforge.periodic import every

if TYPE_CHECKING:
    from ironforge.queue.backend import RedisQueue

log = logging.getLogger("ironforge.worker")
TICK_MS = 1_000


def maintain(queue: RedisQueue) -> list[asyncio.Task[None]]:
    """Starts the loops; the caller cancels them."""

    async def reap() -> None:
        for wid in await queue.reap():
            log.warning("a worker's lease ran out; its jobs were handed back", extra={"lost": wid})

    duties: dict[str, Callable[[], Awaitable[object]]] = {
        "promote": queue.promote_due,
        "reap": reap,
        "trim": queue.trim,
    }
    return [
        asyncio.create_task(every(TICK_MS / 1000, _when_taken(queue, name, duty), name))
        for name, duty in duties.items()
    ]


def _when_taken(
    queue: RedisQueue, name: str, duty: Callable[[], Awaitable[object]]
) -> Callable[[], Awaitable[None]]:
    async def step() -> None:
        if await queue.take_tick(name, TICK_MS - 100):
            await duty()

    return step
