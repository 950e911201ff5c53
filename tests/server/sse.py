"""Reads a stream of server-sent events as a careful client does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx


class Event(NamedTuple):
    name: str
    id: str
    data: dict[str, Any]


class Stream:
    """What came so far, and a way to wait for more."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.events: list[Event] = []
        self._lines = answer.aiter_lines()

    async def next(self) -> Event:
        fields: dict[str, list[str]] = {}
        async for line in self._lines:
            if not line:
                break
            name, _, value = line.partition(": ")
            fields.setdefault(name, []).append(value)
        if not fields:
            raise EOFError
        event = Event(fields["event"][0], fields["id"][0], json.loads("\n".join(fields["data"])))
        self.events.append(event)
        return event

    async def until(self, fits: Callable[[Event], object], timeout_s: float = 8.0) -> Event:
        """The next event that fits; TimeoutError when none comes."""
        async with asyncio.timeout(timeout_s):
            while True:
                event = await self.next()
                if fits(event):
                    return event


@asynccontextmanager
async def open_stream(url: str, **params: str) -> AsyncIterator[Stream]:
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{url}/events", params=params) as answer,
    ):
        yield Stream(answer)
