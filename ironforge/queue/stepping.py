"""Reads what a shard holds in bounded steps, as names that may be any bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from redis.exceptions import ResponseError

from ironforge.queue.connection import store_errors
from ironforge.queue.shard import Shard

STEP = 500  # keys or members that one command asks for


async def ask(shard: Shard, command: str, *arguments: str | int) -> Any:
    """A command's reply; None where the key is of another type. Raises StoreUnavailable."""
    words = [raw(word) if isinstance(word, str) else word for word in arguments]
    with store_errors():
        try:
            return await shard.client.execute_command(command, *words)
        except ResponseError as error:
            if "WRONGTYPE" in str(error):
                return None
            raise


async def keys_like(shard: Shard, pattern: str) -> AsyncIterator[str]:
    with store_errors():
        async for key in shard.client.scan_iter(match=pattern, count=STEP):
            yield text(key)


async def members(shard: Shard, command: str, key: str) -> AsyncIterator[str]:
    """Of a set (SSCAN) or a sorted set (ZSCAN); none where the key is of another type."""
    cursor = 0
    while True:
        reply = await ask(shard, command, key, cursor, "COUNT", STEP)
        if reply is None:
            return
        cursor = int(reply[0])
        for found in reply[1]:
            yield text(found[0] if command == "ZSCAN" else found)
        if cursor == 0:
            return


async def some_members(shard: Shard, key: str, count: int) -> AsyncIterator[str]:
    """About so many members of a sorted set at random; some may come twice."""
    wanted = min(count, await ask(shard, "ZCARD", key) or 0)
    for first in range(0, wanted, STEP):
        for member in await ask(shard, "ZRANDMEMBER", key, min(STEP, wanted - first)) or ():
            yield text(member)


async def batches(names: AsyncIterator[str], size: int) -> AsyncIterator[list[str]]:
    batch: list[str] = []
    async for name in names:
        batch.append(name)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def cut(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in range(0, len(names), size):
        yield names[at : at + size]


def rows(flat: list[Any], width: int) -> Iterator[list[str]]:
    """A flat reply, so many values a row."""
    for at in range(0, len(flat), width):
        yield [text(value) for value in flat[at : at + width]]


def text(found: Any) -> str:
    """Any bytes, as `raw` gives them back."""
    return found.decode("utf-8", "surrogateescape") if isinstance(found, bytes) else str(found)


def raw(name: str) -> bytes:
    """The bytes of a name that was read from Redis."""
    return name.encode("utf-8", "surrogateescape")
