"""What any worker (and the server) does for all: promote, reap, trim. One survey is shared, so many do the work of one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ironforge.periodic import every

if TYPE_CHECKING:
    from ironforge.queue.backend import RedisQueue

log = logging.getLogger("ironforge.worker")
# How often each process asks whether there is something to do: what it costs an idle one, and the longest wait of a
# due job whose queue no worker serves. Below half of what counts as an outage.
SURVEY_MS = 2_000
SHARED_MS = 1_000  # of all processes, one is answered within so long
TICK_MS = 900


def maintain(queue: RedisQueue) -> list[asyncio.Task[None]]:
    """Starts the loop; the caller cancels it."""
    return [asyncio.create_task(every(SURVEY_MS / 1000, lambda: _look_round(queue), "maintenance"))]


async def _look_round(queue: RedisQueue) -> None:
    duties: dict[str, Callable[[], Awaitable[object]]] = {
        "reap": lambda: _reap(queue),
        "promote": queue.promote_due,
        "trim": queue.trim,
    }
    wanted = await queue.survey(SHARED_MS)
    for name, duty in duties.items():
        if name in wanted and await queue.take_tick(name, TICK_MS):
            await duty()


async def _reap(queue: RedisQueue) -> None:
    for wid in await queue.reap():
        log.warning("a worker's lease ran out; its jobs were handed back", extra={"lost": wid})
