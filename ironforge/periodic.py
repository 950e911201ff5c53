"""The one shape of a background loop."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ironforge.errors import StoreUnavailable

log = logging.getLogger("ironforge.worker")
LONGEST_BACKOFF_S = 2.0  # a failover takes seconds; what waits longer than it adds to them
T = TypeVar("T")


async def every(
    interval_s: Callable[[], float] | float, step: Callable[[], Awaitable[object]], name: str
) -> None:
    """Calls `step` for ever. An error is logged and the loop goes on; Redis being away is no error of the step."""
    while True:
        try:
            await step()
        except StoreUnavailable as away:
            log.debug("%s: %s", name, away)
        except Exception:
            log.exception("%s failed; it goes on", name)
        pause_s = interval_s if isinstance(interval_s, int | float) else interval_s()
        await asyncio.sleep(pause_s * random.uniform(0.95, 1.05))


class Outage:
    """Waits longer and longer while Redis is away, at most 2 s with jitter, and tells of it once."""

    def __init__(self) -> None:
        self._failures = 0

    async def wait(self, error: StoreUnavailable) -> None:
        self._failures += 1
        if self._failures == 1:
            log.warning("%s; waiting for it, nothing is lost", error)
        await asyncio.sleep(
            min(LONGEST_BACKOFF_S, 0.1 * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
        )

    def over(self) -> None:
        if self._failures:
            log.info("Redis is back")
            self._failures = 0


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The call's answer, however long Redis is away."""
    outage = Outage()
    while True:
        try:
            answer = await call()
        except StoreUnavailable as away:
            await outage.wait(away)
        else:
            outage.over()
            return answer
