"""A connection of our own to a real server: one call at a time, and the server tells which keys each call changed.

`CLIENT TRACKING … BCAST` pushes the name of every key that anything writes, so that a change nobody expected is seen
too, and only what changed has to be read again.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Generator
from typing import Any

import hiredis
from redis.exceptions import NoScriptError, ResponseError

PUSH: type = hiredis.PushNotification  # type: ignore[attr-defined]
EVERY_KEY = b"*"


def _error(message: str) -> Exception:
    return NoScriptError(message) if message.startswith("NOSCRIPT") else ResponseError(message)


class Wire:
    """A RESP3 connection over a unix socket.

    Attributes:
        changed: names of keys written since `changed` was last emptied; `EVERY_KEY` after a flush.
    """

    def __init__(self, url: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(url.removeprefix("unix://"))
        self._reader = hiredis.Reader(replyError=_error)
        self.changed: set[bytes] = set()
        self.command("HELLO", 3)
        self.command("CLIENT", "TRACKING", "ON", "BCAST")

    def command(self, *arguments: Any) -> Any:
        """One call. Raises what the server answers with."""
        self._socket.sendall(hiredis.pack_command(arguments))
        reply = self._reply()
        self._late_pushes()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def commands(self, calls: list[tuple[Any, ...]]) -> list[Any]:
        """Several calls in one round trip; an error stands in its place among the replies."""
        self._socket.sendall(b"".join([hiredis.pack_command(call) for call in calls]))
        return [self._reply() for _ in calls]

    def close(self) -> None:
        self._socket.close()

    def _reply(self) -> Any:
        while True:
            found = self._reader.gets()
            if found is False and not self._reader.has_data():
                self._feed()
            elif type(found) is PUSH:
                self._note(found)
            elif found is False:
                self._feed()
            else:
                return found

    def _late_pushes(self) -> None:
        while self._reader.has_data():
            found = self._reader.gets()
            if type(found) is not PUSH:
                return  # half a message: the next call reads it whole
            self._note(found)

    def _feed(self) -> None:
        received = self._socket.recv(1 << 20)
        if not received:
            raise ConnectionError("the server closed the connection")
        self._reader.feed(received)

    def _note(self, push: list[Any]) -> None:
        if push[0] == b"invalidate":
            self.changed.update(push[1] if push[1] is not None else (EVERY_KEY,))


class Hop:
    """A command that a client of the product wants to send. Whoever drives the coroutine answers it, or fails it."""

    __slots__ = ("arguments",)

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments

    def __await__(self) -> Generator[Hop, Any, Any]:
        return (yield self)


class HoppingClient:
    """Stands where RedisQueue has its redis client: each command becomes a hop, so that two clients can interleave."""

    async def execute_command(self, *arguments: Any, **_: Any) -> Any:
        reply = await Hop(arguments)
        if arguments[0] == "ZSCAN":  # as redis-py gives it
            cursor, flat = reply
            return cursor, list(zip(flat[::2], flat[1::2], strict=True))
        return reply

    def pipeline(self, transaction: bool = False) -> HoppingPipeline:
        return HoppingPipeline()

    async def scan_iter(self, match: str, count: int) -> AsyncIterator[bytes]:
        cursor = b"0"
        while True:
            cursor, names = await Hop(("SCAN", cursor, "MATCH", match, "COUNT", count))
            for name in names:
                yield name
            if cursor == b"0":
                return


class HoppingPipeline:
    """Commands of one pipeline, one hop each: a server may serve others between them."""

    def __init__(self) -> None:
        self._calls: list[tuple[Any, ...]] = []

    def execute_command(self, *arguments: Any) -> None:
        self._calls.append(arguments)

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        replies: list[Any] = []
        for call in self._calls:
            try:
                replies.append(await Hop(call))
            except ResponseError as error:
                if raise_on_error:
                    raise
                replies.append(error)
        return replies
