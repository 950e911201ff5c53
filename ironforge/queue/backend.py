"""RedisQueue: the one door to a namespace. Each part is a file: producing, operating, reading, working, maintaining."""

from __future__ import annotations

from typing import Self

from ironforge.queue.maintaining import Maintaining
from ironforge.queue.operating import Operating
from ironforge.queue.reading import Reading
from ironforge.queue.working import Working


class RedisQueue(Operating, Reading, Working, Maintaining):
    """All jobs of one namespace, whichever of its shards they live in.

    Every method raises StoreUnavailable when Redis is away or cannot answer; none is retried by itself, and every
    state change is a script that is safe to send again.
    """

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
