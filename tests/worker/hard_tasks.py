"""Handlers that do what handlers should not. Each writes to the ledger, as those of tests/system/tasks_forge.py do."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from pathlib import Path

from ironforge import Context, Discard, Forge, Retry
from tests.system.tasks_forge import note

forge = Forge()


class NoException(BaseException):
    """What `except Exception` lets pass."""


@forge.task("raises", max_retries=0)
async def raises(what: str) -> None:
    note("ran", what)
    match what:
        case "base":
            raise NoException("not an Exception")
        case "generator":
            raise GeneratorExit
        case "cancelled":
            raise asyncio.CancelledError
        case _:
            raise KeyboardInterrupt


@forge.task("thread.raises", max_retries=0)
def thread_raises(what: str) -> None:
    note("ran", what)
    if what == "stop":
        next(iter(()))
    raise NoException(what)


@forge.task("thread.deaf", timeout_s=0.3, max_retries=0)
def thread_deaf(mark: int, s: float) -> None:
    """Looks at nothing until it is done."""
    note("start", mark)
    time.sleep(s)
    note("end", mark)


@forge.task("thread.quick")
def thread_quick(mark: int) -> int:
    note("ran", mark)
    return mark


@forge.task("nap")
async def nap(mark: int, s: float = 0.3) -> None:
    note("start", mark)
    await asyncio.sleep(s)
    note("end", mark)


@forge.task("gate")
async def gate(mark: int) -> None:
    """Until the test opens it."""
    note("start", mark)
    while not Path("gate").exists():
        await asyncio.sleep(0.02)


@forge.task("deaf", timeout_s=0.2, max_retries=0)
async def deaf(mark: int) -> None:
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            note("ignored", mark)


@forge.task("blocks", timeout_s=1.0, max_retries=1)
async def blocks(mark: int, s: float = 60.0) -> None:
    """An async handler that never gives the loop back."""
    note("start", mark)
    time.sleep(s)  # noqa: ASYNC251  that is the point
    note("end", mark)


@forge.task("blocks.gil", timeout_s=1.0, max_retries=0)
async def blocks_gil(mark: int) -> None:
    """A regular expression that backtracks for hours inside C code, which keeps the interpreter lock all the while."""
    note("start", mark)
    re.match(r"(a+)+$", "a" * 60 + "b")


@forge.task("leaves")
async def leaves(code: int) -> None:
    """Ends its process as if all were well."""
    note("left", code)
    os._exit(code)


@forge.task("process.busy", process=True)
def process_busy(mark: int) -> None:
    note("start", mark)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pass


@forge.task("process.starts", process=True)
def process_starts(mark: int) -> None:
    """A program that would go on for itself."""
    started = subprocess.Popen(["sleep", "600"])
    note("started", started.pid)
    started.wait()


@forge.task("forks")
async def forks(mark: int) -> None:
    """The copy holds everything open that the program has."""
    copy = os.fork()
    if copy == 0:
        time.sleep(60)  # noqa: ASYNC251
        os._exit(0)
    note("copy", copy)
    await asyncio.sleep(60)


@forge.task("process.raises", process=True, max_retries=0)
def process_raises(order: int) -> None:
    _charge(order)


def _charge(order: int) -> None:
    raise ConnectionError(f"order {order} was refused")


@forge.task("process.result", process=True, max_retries=0)
def process_result(what: str) -> object:
    return {"big": "x" * 6_000_000, "nan": float("nan"), "object": object(), "int": 7**9000, "text": "é\n"}[
        what
    ]


@forge.task("process.again", process=True)
def process_again(ctx: Context) -> None:
    ctx.progress(0.25, "a quarter")
    print("what a handler prints is no answer")
    raise Retry(60)


@forge.task("process.discards", process=True)
def process_discards() -> None:
    raise Discard("it can never work")


@forge.task("process.async", process=True)
async def process_async() -> str:
    await asyncio.sleep(0)
    return "on a loop of its own"
