"""The pump: one stream of events, begun again after each loss with growing pauses. Does no drawing and knows no view."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from ironforge.tui.api import Api
from ironforge.tui.store import LOST_S

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the server."""

    name: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no stream: why, and when it is tried again (seconds; None: not before somebody asks)."""

    words: str
    next_try_s: float | None
    denied: bool = False


class Pump:
    """Iterate over `run`. `hurry` ends the current pause."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        self._hurry.set()

    async def run(self) -> AsyncIterator[Event | Lost]:
        failures = 0
        while True:
            wait_s: float | None = None
            try:
                async for event in self._stream():
                    failures = 0
                    yield event
                words = "the server ended the stream"
            except _Denied as denied:
                yield Lost(str(denied), None, denied=True)
                await self._pause(None)
                continue
            except _Away as away:
                words, wait_s = str(away), away.retry_after_s
            failures += 1
            ceiling = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures, 10))
            pause_s = max(wait_s or 0.0, random.uniform(FIRST_PAUSE_S / 2, ceiling))
            yield Lost(words, pause_s)
            await self._pause(pause_s)

    async def _pause(self, pause_s: float | None) -> None:
        self._hurry.clear()
        try:
            await asyncio.wait_for(self._hurry.wait(), pause_s)
        except TimeoutError:
            return

    async def _stream(self) -> AsyncIterator[Event]:
        timeout = httpx.Timeout(3.0, read=LOST_S)
        try:
            async with self._api.client.stream(
                "GET", "/events", headers={"Accept": "text/event-stream"}, timeout=timeout
            ) as answer:
                await _check(answer)
                async for event in _events(answer.aiter_lines()):
                    yield event
        except httpx.ReadTimeout:
            raise _Away(f"nothing heard for {LOST_S:g} s") from None
        except httpx.HTTPError as error:
            raise _Away(_reason(error)) from None


class _Denied(Exception):
    pass


class _Away(Exception):
    def __init__(self, words: str, retry_after_s: float | None = None) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s


async def _check(answer: httpx.Response) -> None:
    if answer.status_code in (401, 403):
        raise _Denied("the server refuses this token; set IRONFORGE_TOKEN and press r")
    if answer.status_code != 200:
        after = answer.headers.get("Retry-After", "")
        raise _Away(f"the server answered {answer.status_code}", float(after) if after.isdigit() else None)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    name, data = "message", list[str]()
    async for text in lines:
        if text.startswith("event:"):
            name = text[6:].strip()
        elif text.startswith("data:"):
            data.append(text[5:].lstrip())
        elif not text and data:
            try:
                yield Event(name, json.loads("\n".join(data)))
            except ValueError:
                raise _Away("the server sent something that is not JSON") from None
            name, data = "message", []


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        return "nobody answers there"
    if isinstance(error, httpx.ConnectTimeout):
        return "the server does not answer in time"
    return "the connection broke"
