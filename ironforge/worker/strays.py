"""Jobs that run here by the books and not in truth: a failover, or a restart of Redis, lost the end of their run, or
nobody heard the answer to their claim.

Such a job would wait for ever: its worker lives and keeps its lease. It is released, uncharged, under its own fence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ironforge.queue.readings import Settlement, Turn

if TYPE_CHECKING:
    from ironforge.queue.backend import RedisQueue

log = logging.getLogger("ironforge.worker")
LOOK_S = 7.5  # two looks within a lease


class Strays:
    """Looks now and then. A job is a stray when two looks in a row found it under the same fence.

    Args:
        knows: whether the worker runs that job, or has not settled it yet, or its claim (by the fence) is under way.
    """

    def __init__(self, queue: RedisQueue, wid: str, knows: Callable[[str, str], bool]) -> None:
        self._queue = queue
        self._wid = wid
        self._knows = knows
        self._suspected: set[tuple[str, str]] = set()

    async def look(self) -> None:
        held = await self._queue.claims_of(self._wid)
        unknown = {(job_id, fence) for job_id, fence in held if not self._knows(job_id, fence)}
        strays, self._suspected = unknown & self._suspected, unknown
        if strays:
            released = [Settlement(job_id, fence, "released") for job_id, fence in sorted(strays)]
            await self._queue.turn(Turn(self._wid, 0, "", 0, (), released))
            log.warning(
                "these jobs do not run here, as Redis says they do; they run again",
                extra={"jobs": len(strays), "job_id": released[0].job_id},
            )
