"""What the queue asks of a Redis client, whichever form of Redis is behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol


class RedisPipeline(Protocol):
    """Commands sent together. Their keys lie in one Cluster slot."""

    def execute_command(self, *arguments: Any) -> Any: ...

    async def execute(self, raise_on_error: bool = True) -> list[Any]: ...


class RedisClient(Protocol):
    """Sends a command to the node that has its keys; never sends one twice by itself."""

    async def execute_command(self, *arguments: Any) -> Any: ...

    def pipeline(self, transaction: bool = False) -> RedisPipeline: ...

    def scan_iter(self, match: str, count: int) -> AsyncIterator[bytes]: ...

    async def unlink(self, *keys: Any) -> Any: ...

    async def info(self) -> dict[str, Any]: ...

    async def aclose(self) -> None: ...
