"""Tasks for tests of workers. Each handler writes what it does to the append-only ledger named by LEDGER."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from ironforge import Context, Discard, Forge, Retry

forge = Forge()


def note(word: str, mark: object) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{word} {mark} {os.getpid()} {time.monotonic():.4f}\n")


@forge.task("quick")
async def quick(mark: int = 0) -> int:
    note("ran", mark)
    return mark


@forge.task("nap")
async def nap(mark: int, s: float = 0.3) -> int:
    note("start", mark)
    await asyncio.sleep(s)
    note("end", mark)
    return mark


@forge.task("thread.nap")
def thread_nap(ctx: Context, mark: int, s: float = 10.0) -> str:
    note("start", mark)
    deadline = time.monotonic() + s
    while time.monotonic() < deadline and not ctx.cancelled:
        time.sleep(0.02)
    note("end", mark)
    return "thread"


@forge.task("process.nap", process=True)
def process_nap(mark: int, s: float = 0.0) -> int:
    note("start", mark)
    time.sleep(s)
    note("end", mark)
    return os.getpid()


@forge.task("flaky", max_retries=3)
async def flaky(mark: int = 0) -> None:
    note("ran", mark)
    raise ConnectionError(f"no route to host {mark}")


@forge.task("again")
async def again(delay: float) -> None:
    raise Retry(delay)


@forge.task("never")
async def never() -> None:
    raise Discard("it can never work")


@forge.task("poison")
async def poison() -> None:
    note("poison", 0)
    os.kill(os.getpid(), signal.SIGKILL)


@forge.task("stubborn", timeout_s=0.5)
async def stubborn(mark: int) -> None:
    note("start", mark)
    while True:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            note("ignored", mark)


@forge.task("slow", timeout_s=0.5, max_retries=0)
async def slow() -> None:
    await asyncio.sleep(30)


@forge.task("slow.process", timeout_s=0.5, max_retries=0, process=True)
def slow_process() -> None:
    time.sleep(30)


@forge.task("locked")
async def locked(ctx: Context, mark: int) -> None:
    async with ctx.lock("one-at-a-time", ttl_s=5):
        note("enter", mark)
        await asyncio.sleep(0.05)
        note("leave", mark)


@forge.task("steps")
async def steps(ctx: Context) -> None:
    ctx.progress(0.5, "half way")
    await asyncio.sleep(1.0)


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError("even its words fail")


@forge.task("hostile", max_retries=0)
async def hostile(how: str) -> object:
    if how == "str":
        raise Hostile
    if how == "huge":
        raise ValueError("x" * 10_000_000)
    if how == "result":
        return object()
    if how == "surrogate":
        raise ValueError("\ud800 alone")
    raise SystemExit(3)
