"""Handlers that return or raise what nobody expects, each way once on the loop and once in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import decimal
import os
from collections.abc import Callable
from typing import Any, NoReturn

from ironforge import Forge

forge = Forge()


class HostileText(Exception):
    """Its words fail with what passes `except Exception`."""

    def __str__(self) -> str:
        raise SystemExit(4)

    __repr__ = __str__


class HostileClass(Exception):
    """Fails as soon as somebody asks what it is."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise KeyboardInterrupt


class _NamelessMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise GeneratorExit


class Nameless(Exception, metaclass=_NamelessMeta):
    pass


class HostileObject:
    def __repr__(self) -> str:
        raise KeyboardInterrupt

    __str__ = __repr__


class HostileDict(dict[str, Any]):
    def items(self) -> Any:
        raise SystemExit(5)


class NoException(BaseException):
    """What `except Exception` lets pass."""


def _deep(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def _ring() -> dict[str, Any]:
    ring: dict[str, Any] = {}
    ring["itself"] = ring
    return ring


def _raises(make: Callable[[], BaseException]) -> Callable[[], NoReturn]:
    def now() -> NoReturn:
        raise make()

    return now


def _recursion() -> int:
    return 1 + _recursion()


def _causes_itself() -> BaseException:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def _with_notes() -> BaseException:
    error = ValueError("with notes")
    for _ in range(1_000):
        error.add_note("n" * 10_000)
    return error


RETURNS: dict[str, Callable[[], Any]] = {
    "object": object,
    "large": lambda: "x" * 6_000_000,
    "nan": lambda: float("nan"),
    "bytes": lambda: b"\xff\x00",
    "integer of 7,600 digits": lambda: 7**9000,
    "deep": lambda: _deep(50_000),
    "ring": _ring,
    "generator": lambda: (at for at in range(3)),
    "lone surrogate": lambda: "\ud800",
    "odd keys": lambda: {(1, 2): 3},
    "hostile object": HostileObject,
    "hostile dict": lambda: HostileDict(a=1),
    "decimal": lambda: decimal.Decimal("NaN"),
}
RAISES: dict[str, Callable[[], Any]] = {
    "message of 10 MB": _raises(lambda: ValueError("m" * 10_000_000)),
    "hostile text": _raises(HostileText),
    "hostile class": _raises(HostileClass),
    "no name": _raises(Nameless),
    "recursion": _recursion,
    "no exception": _raises(lambda: NoException("at all")),
    "system exit": _raises(lambda: SystemExit(3)),
    "keyboard interrupt": _raises(KeyboardInterrupt),
    "generator exit": _raises(GeneratorExit),
    "stop": _raises(lambda: StopIteration(1)),
    "cancelled": _raises(asyncio.CancelledError),
    "group of 1,000": _raises(lambda: ExceptionGroup("many", [ValueError(at) for at in range(1_000)])),
    "causes itself": _raises(_causes_itself),
    "notes of 10 MB": _raises(_with_notes),
}
WAYS = {**RETURNS, **RAISES}


@forge.task("nasty", max_retries=0)
async def nasty(way: str) -> Any:
    return WAYS[way]()


@forge.task("nasty.thread", max_retries=0)
def nasty_thread(way: str) -> Any:
    return WAYS[way]()


@forge.task("leaves.tasks")
async def leaves_tasks(count: int) -> None:
    """Each of them would go on for an hour; one of three answers its cancellation late."""

    async def go_on(at: int) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3_600)
        if at % 3 == 0:
            await asyncio.sleep(0.02)

    for at in range(count):
        asyncio.create_task(go_on(at), name=f"left {at}")  # noqa: RUF006
    await asyncio.sleep(0)


@forge.task("looks")
async def looks() -> list[int]:
    """Its process, and how many of the tasks above there are."""
    return [os.getpid(), sum(task.get_name().startswith("left ") for task in asyncio.all_tasks())]
