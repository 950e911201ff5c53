"""Waiting on facts with a deadline: the only place in the tests that sleeps."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

T = TypeVar("T")
_PAUSE_S = 0.01


def wait_until(fact: Callable[[], T], timeout_s: float = 10.0, what: str = "") -> T:
    """The first truthy value of `fact()`; AssertionError with the last value at the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(
                f"{what or 'the fact'} did not hold within {timeout_s} s; last value: {value!r}"
            )
        time.sleep(_PAUSE_S)


async def eventually(fact: Callable[[], T | Awaitable[T]], timeout_s: float = 10.0, what: str = "") -> T:
    """As `wait_until`, for a fact that may be a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = fact()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return cast(T, value)
        if time.monotonic() > deadline:
            raise AssertionError(
                f"{what or 'the fact'} did not hold within {timeout_s} s; last value: {value!r}"
            )
        await asyncio.sleep(_PAUSE_S)
