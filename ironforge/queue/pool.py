"""The connections of one client to one server."""

from __future__ import annotations

from typing import Any

from redis.asyncio import BlockingConnectionPool


class Pool(BlockingConnectionPool):
    """Once a connection failed, those that were idle meanwhile are made anew before they are used again.

    They most likely fell silent with it, and each would cost a caller its whole time limit to find that out: a lease
    that is renewed through three dead ones in a row is over.
    """

    async def release(self, connection: Any) -> None:
        failed = not connection.is_connected
        await super().release(connection)
        if failed:
            for idle in self._available_connections:
                idle.mark_for_reconnect()

    async def ensure_connection(self, connection: Any) -> None:
        writer = connection._writer
        # One that was reset while idle: redis-py would find out by writing to it.
        if connection.should_reconnect() or (writer is not None and writer.is_closing()):
            await connection.disconnect(nowait=True)
        await super().ensure_connection(connection)
