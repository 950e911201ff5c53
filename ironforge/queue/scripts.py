"""Loads `lua/NAME.lua` and runs it by digest, with EVAL where the server forgot it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError

from ironforge.queue.client import RedisClient
from ironforge.queue.node import NodeClient

Argument = str | bytes | int | float

# Only enqueue may be refused for lack of memory: a full Redis has to be able to drain.
_NEEDS_MEMORY = frozenset({"enqueue"})
# These go on when nothing may be written: the disk is full, or this is a replica.
_ONLY_READS = frozenset({"read_queues", "read_page", "inspect_job", "inspect_key", "read_ledger"})
_USES = re.compile(r"^-- Uses: (.+)$", re.MULTILINE)
_NOW = "local now_us = clock[1] * 1000000 + clock[2]\n"
_SHIFTED_NOW = _NOW.rstrip() + " + (tonumber(redis.call('GET', P .. 'test:clock_shift_us') or 0))\n"


class Script(NamedTuple):
    name: str
    text: bytes
    digest: str


@cache
def script(name: str, *, shifted_clock: bool = False) -> Script:
    """A script with its prelude and the parts its header names.

    Args:
        name: file name without `.lua`.
        shifted_clock: for tests only: the clock reads `test:clock_shift_us` on top of TIME.
    """
    body = _read(name)
    found = _USES.search(body)
    parts = found[1].split(", ") if found else []
    prelude = _read("_prelude")
    if shifted_clock:
        assert _NOW in prelude
        prelude = prelude.replace(_NOW, _SHIFTED_NOW)
    flags = (
        ""
        if name in _NEEDS_MEMORY
        else " flags=no-writes,allow-oom"
        if name in _ONLY_READS
        else " flags=allow-oom"
    )
    pieces = (f"#!lua{flags}\n", prelude, *(_read(f"_{part}") for part in parts), body)
    text = _stripped("".join(pieces)).encode()
    return Script(name, text, sha1(text, usedforsecurity=False).hexdigest())


async def run(client: RedisClient, code: Script, prefix: str, *arguments: Argument) -> Any:
    try:
        return await client.execute_command("EVALSHA", code.digest, 1, prefix, *arguments)
    except NoScriptError:
        return await client.execute_command("EVAL", code.text, 1, prefix, *arguments)


class Pipeline:
    """Script calls in one round trip, in order.

    A call whose script the server forgot is made again by EVAL, after those that follow it: a claim would come before
    the settlements that make room for it. So scripts not in `known`, the digests the server was sent, are loaded first.
    """

    def __init__(self, client: RedisClient, prefix: str, known: set[str]) -> None:
        self._client = client
        self._prefix = prefix
        self._known = known
        self._calls: list[tuple[Script, tuple[Argument, ...]]] = []

    def add(self, code: Script, *arguments: Argument) -> None:
        self._calls.append((code, arguments))

    async def run(self) -> list[Any]:
        """The replies in order. The first error of a reply is raised, after all were read."""
        pipe = self._client.pipeline(transaction=False)
        new = {code.digest: code for code, _ in self._calls if code.digest not in self._known}
        for code in new.values():
            pipe.execute_command("SCRIPT", "LOAD", code.text)
        for code, arguments in self._calls:
            pipe.execute_command("EVALSHA", code.digest, 1, self._prefix, *arguments)
        replies: list[Any] = await pipe.execute(raise_on_error=False)
        replies = replies[len(new) :]
        self._known.update(new)
        for at, (code, arguments) in enumerate(self._calls):
            if isinstance(replies[at], NoScriptError):
                self._known.clear()  # the server was started again
                replies[at] = await self._client.execute_command(
                    "EVAL", code.text, 1, self._prefix, *arguments
                )
            elif isinstance(replies[at], Exception):
                raise replies[at]
        return replies


async def stream(
    client: RedisClient, code: Script, prefix: str, calls: Iterable[tuple[Argument, ...]], known: set[str]
) -> AsyncGenerator[Any]:
    """Calls of one script; each is sent before the arguments of the next are made. The replies in their order.

    The first error of a reply is raised, after all were read; replies behind it are not given. Where there are several
    servers, the calls are made one after the other.

    Args:
        known: digests of the scripts the server was sent; one that is not in it is loaded first, as in a Pipeline.
    """
    failed: Exception | None = None
    sent: deque[tuple[Argument, ...]] = deque()
    forgotten: list[tuple[tuple[Argument, ...], Any]] = []  # from the first call on whose script was unknown
    rest = iter(calls)

    def commands() -> Iterator[tuple[Any, ...]]:
        if code.digest not in known:
            sent.append(())
            yield ("SCRIPT", "LOAD", code.text)
        for arguments in rest:
            sent.append(arguments)
            yield ("EVALSHA", code.digest, 1, prefix, *arguments)
            if forgotten:
                return  # else one that is sent now would come before those that are made again

    if isinstance(client, NodeClient):
        async with aclosing(client.stream(commands())) as replies:
            async for reply in replies:
                arguments = sent.popleft()
                if forgotten or isinstance(reply, NoScriptError):
                    forgotten.append((arguments, reply))
                elif isinstance(reply, Exception):
                    failed = failed or reply
                elif not arguments:
                    known.add(code.digest)
                elif not failed:  # the caller counts replies
                    yield reply
        if forgotten:
            known.clear()  # the server was started again
        for arguments, reply in forgotten:
            if isinstance(reply, NoScriptError):
                reply = await client.execute_command("EVAL", code.text, 1, prefix, *arguments)
            if isinstance(reply, Exception):
                failed = failed or reply
            elif not failed:
                yield reply
        if failed:
            raise failed
    for arguments in rest:
        yield await run(client, code, prefix, *arguments)


def _read(name: str) -> str:
    return (files("ironforge.queue") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def _stripped(text: str) -> str:
    """Without whole-line comments: they cost each server memory, not the reader of the files."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("--"))
    return "\n".join(lines) + "\n"
