"""The pump: one stream of events, begun again after each loss with growing pauses. Does no drawing and knows no view."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, cast

import httpx

from ironforge.tui.api import Api, ApiError
from ironforge.tui.doc import read_json
from ironforge.tui.store import LOST_S

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
POLLS = 15


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


@dataclass(frozen=True, slots=True)
class Polled:
    """The server is there, but no stream gets through: totals and queues by plain requests."""

    stats: object
    queues: object


class Pump:
    """Iterate over `run`. `hurry` ends the current pause."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        self._hurry.set()

    async def run(self) -> AsyncIterator[Event | Lost | Polled]:
        failures = 0
        while True:
            heard = False
            try:
                async for event in self._stream():
                    failures, heard = 0, True
                    yield event
                away = _Away("the server ended the stream")
            except _Denied as denied:
                yield Lost(str(denied), None, denied=True)
                await self._pause(None)
                continue
            except _Away as error:
                away = error
            if away.silent and not heard:  # a proxy may hold the stream back
                async for polled in self._poll():
                    failures, heard = 0, True
                    yield polled
                if heard:
                    continue
            failures += 1
            pause_s = max(away.retry_after_s or 0.0, pause_after(failures))
            yield Lost(str(away), pause_s)
            await self._pause(pause_s)

    async def _pause(self, pause_s: float | None) -> None:
        self._hurry.clear()
        try:
            await asyncio.wait_for(self._hurry.wait(), pause_s)
        except TimeoutError:
            return

    async def _poll(self) -> AsyncIterator[Polled]:
        """Once a second for a while; ends when it fails, and then when a stream should be tried again."""
        for _ in range(POLLS):
            try:
                yield Polled(*await self._api.snapshot())
            except ApiError:
                return
            await self._pause(1.0)

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
            raise _Away(f"nothing heard for {LOST_S:g} s", silent=True) from None
        except httpx.HTTPError as error:
            raise _Away(_reason(error)) from None


def pause_after(failures: int, chance: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds until the next try: anything up to a ceiling that doubles, so that many consoles do not come at once."""
    ceiling = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures - 1, 10))
    return max(0.05, chance(0.0, ceiling))


class _Denied(Exception):
    pass


class _Away(Exception):
    def __init__(self, words: str, retry_after_s: float | None = None, *, silent: bool = False) -> None:
        super().__init__(words)
        self.retry_after_s, self.silent = retry_after_s, silent


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
                found: object = read_json("\n".join(data))
            except (ValueError, RecursionError):
                raise _Away("the server sent something that is not JSON") from None
            if isinstance(found, dict):
                yield Event(name, cast("dict[str, Any]", found))
            name, data = "message", []


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        return "connection refused"
    if isinstance(error, httpx.ConnectTimeout):
        return "the server does not answer in time"
    return "the connection broke"
