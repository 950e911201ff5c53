"""The client of one server, and how commands go to it: one write, then as many replies.

redis-py's own way round this is longer: it measures itself and has a place for sending again, which half of the time of
a small exchange goes into. What is kept of it are connections, the reading of replies, and what is thrown when they fail.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

BLOCKED_MARGIN_S = 5.0
_AHEAD = 3  # commands of a stream whose replies are still to come: Redis never waits for the next
_Command = tuple[Any, ...]


class NodeClient(Redis):
    """One server. A blocking call ends a little after its own time limit, even when the server went silent; any other
    exchange of its connection, the greeting too, with the socket's."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        reply = (await self.exchange((args,), **options))[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        return super().pipeline(transaction, shard_hint) if transaction else NodePipeline(self)

    async def exchange(self, commands: Sequence[_Command], **options: Any) -> list[Any]:
        """Sends all at once. The replies in their order; what Redis refused is an exception among them.

        Commands behind one that blocks are made when that ends. Broken off, nobody can tell which were made.

        Args:
            commands: each with its name first.
            options: for the reading of the replies, as redis-py's own methods give them.
        """
        blocked = max((float(command[-1]) for command in commands if command[0] == "BZPOPMIN"), default=None)
        async with _Borrowed(self.connection_pool, blocked) as connection:
            packed = [part for command in commands for part in connection.pack_command(*command)]
            await connection.send_packed_command(packed)
            return [await self._reply(connection, command[0], options) for command in commands]

    async def stream(self, commands: Iterable[_Command]) -> AsyncGenerator[Any]:
        """As `exchange`, but each command is sent before the next is asked for: Redis works while the caller makes it.

        Yields the replies in their order, a few commands later. To be exhausted, or nobody can tell which were made.
        """
        outstanding: deque[Any] = deque()
        async with _Borrowed(self.connection_pool) as connection:
            for command in commands:
                await connection.send_packed_command(connection.pack_command(*command))
                outstanding.append(command[0])
                await asyncio.sleep(0)  # uvloop writes at the end of a step
                if len(outstanding) > _AHEAD:
                    yield await self._reply(connection, outstanding.popleft(), {})
            while outstanding:
                yield await self._reply(connection, outstanding.popleft(), {})

    async def _reply(self, connection: Any, name: Any, options: dict[str, Any]) -> Any:
        try:
            parse: Any = self.parse_response  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            return await parse(connection, name, **options)
        except ResponseError as refused:
            return refused


class _Borrowed:
    """A connection of the pool. After a failure it is not used again: a reply under way would answer another's command.

    Args:
        blocked_s: how long Redis may keep the replies back; None for not at all.
    """

    __slots__ = ("_blocked_s", "_connection", "_pool", "_usual_s")

    def __init__(self, pool: Any, blocked_s: float | None = None) -> None:
        self._pool = pool
        self._blocked_s = blocked_s

    async def __aenter__(self) -> Any:
        connection = self._connection = await self._pool.get_connection()
        self._usual_s = connection.socket_timeout
        if self._blocked_s is not None:
            connection.socket_timeout = self._blocked_s + BLOCKED_MARGIN_S
        return connection

    async def __aexit__(self, failed: object, *_: object) -> None:
        connection = self._connection
        try:
            if failed is not None:
                await connection.disconnect(nowait=True)
        finally:
            connection.socket_timeout = self._usual_s
            await self._pool.release(connection)


class NodePipeline:
    """As redis-py's, without transactions."""

    def __init__(self, client: NodeClient) -> None:
        self._client = client
        self._commands: list[_Command] = []

    def execute_command(self, *args: Any, **_: Any) -> None:
        self._commands.append(args)

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands, self._commands = self._commands, []
        replies = await self._client.exchange(commands) if commands else []
        failed = next((reply for reply in replies if isinstance(reply, Exception)), None)
        if raise_on_error and failed is not None:
            raise failed
        return replies
