"""The connections of one client to one server."""

from __future__ import annotations

import select
from typing import Any

from redis.asyncio import BlockingConnectionPool


class Pool(BlockingConnectionPool):
    """Once a connection failed, those that were idle meanwhile are made anew before they are used again.

    They most likely fell silent with it, and each would cost a caller its whole time limit to find that out: a lease
    that is renewed through three dead ones in a row is over.
    """

    _asking = 0  # callers in `get_connection` of the parent, which may wait for one that is released

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        if self._asking or not self._available_connections:
            self._asking += 1
            try:
                return await super().get_connection(*args, **options)
            finally:
                self._asking -= 1
        # One is idle and nobody waits: without the parent's lock, clock and events, which cost more than a PING.
        connection = self._available_connections.pop()
        self._in_use_connections.add(connection)
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        failed = not connection.is_connected
        if self._asking or connection.should_reconnect():
            await super().release(connection)
        else:
            self._in_use_connections.remove(connection)
            self._available_connections.append(connection)
        if failed:
            for idle in self._available_connections:
                idle.mark_for_reconnect()

    async def ensure_connection(self, connection: Any) -> None:
        writer = connection._writer
        if writer is not None:
            is_tls = writer.get_extra_info("ssl_object") is not None
            # One that was reset while idle: redis-py would find out by writing to it.
            if connection.should_reconnect() or writer.is_closing() or (not is_tls and _has_ended(writer)):
                await connection.disconnect(nowait=True)
            elif not is_tls:
                return  # nothing came that nobody asked for: it is ready
        await super().ensure_connection(connection)


def _has_ended(writer: Any) -> bool:
    """Whether an idle connection can be read, which means its end: a loop that was busy meanwhile has not heard of it.

    Not for TLS, which has more to be read.
    """
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
