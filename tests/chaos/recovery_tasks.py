"""Handlers that end their process, keep it, or answer what nobody expects; each writes to the ledger what it does."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import resource
import signal
import threading
import time

from ironforge import Context, Forge
from tests.system.tasks_forge import note

forge = Forge()


@forge.task("nap")
async def nap(mark: int, s: float) -> None:
    note("start", mark)
    await asyncio.sleep(s)
    note("end", mark)


@forge.task("hold")
async def hold(ctx: Context, mark: int) -> None:
    """For a minute, unless its worker was lost before."""
    note("start", mark)
    if ctx.job.lapses == 0:
        await asyncio.sleep(60)
    note("end", mark)


@forge.task("pill")
async def pill(mark: int, how: str) -> None:
    """Ends its process each time: killed, out of memory, or by a bad pointer."""
    note("pill", mark)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segfault":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.string_at(0)
    resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))
    try:
        bytearray(2**30)
    except MemoryError:
        os._exit(137)


@forge.task("block")
async def block(mark: int, how: str, s: float = 600.0) -> None:
    """Never gives the loop back within its time."""
    note("start", mark)
    deadline = time.monotonic() + s
    if how == "sleep":
        time.sleep(s)  # noqa: ASYNC251
    elif how == "regex":
        re.match(r"(a+)+$", "a" * 80 + "b")
    while time.monotonic() < deadline:
        pass
    note("end", mark)


@forge.task("deaf")
async def deaf(mark: int, s: float = 600.0) -> str:
    """Swallows its cancellation, and answers late."""
    note("start", mark)
    deadline = time.monotonic() + s
    while time.monotonic() < deadline:
        try:
            await asyncio.sleep(deadline - time.monotonic())
        except asyncio.CancelledError:
            note("ignored", mark)
    note("end", mark)
    return "late"


@forge.task("deaf.thread")
def deaf_thread(mark: int) -> None:
    note("start", mark)
    threading.Event().wait()


@forge.task("deaf.process", process=True)
def deaf_process(mark: int) -> None:
    note("start", mark)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        time.sleep(60)
