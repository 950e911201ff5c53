"""Handlers for chaos. Each writes its start and its end to the append-only file named by LEDGER: see ledger.py."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from ironforge import Context, Forge

forge = Forge()
_ledger = -1


def note(word: str, ctx: Context) -> None:
    """One line by one write to a file opened for appending: whole, or not there."""
    global _ledger
    if _ledger < 0:
        _ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    line = f"{word} {ctx.job.id} {ctx.job.fence} {os.getpid()} {time.monotonic():.6f}\n"
    os.write(_ledger, line.encode())


@forge.task("chaos.nap")
async def nap(ctx: Context, s: float) -> str:
    note("start", ctx)
    await asyncio.sleep(s)
    note("end", ctx)
    return ctx.job.fence


@forge.task("chaos.thread")
def thread_nap(ctx: Context, s: float) -> str:
    note("start", ctx)
    deadline = time.monotonic() + s
    while (left := deadline - time.monotonic()) > 0 and not ctx.cancelled:
        time.sleep(min(left, 0.05))
    if not ctx.cancelled:
        note("end", ctx)
    return ctx.job.fence


@forge.task("chaos.gate", timeout_s=3600)
async def gate(ctx: Context) -> str:
    """Ends once its worker's gate is open: the file named by GATE. It says so: a zombie does it too late."""
    note("start", ctx)
    ctx.progress({"fence": ctx.job.fence})
    while not Path(os.environ["GATE"]).exists():
        await asyncio.sleep(0.1)
    ctx.progress({"fence": ctx.job.fence, "last": True})
    note("end", ctx)
    return ctx.job.fence


@forge.task("chaos.stubborn")
async def stubborn(ctx: Context, s: float) -> str:
    """Does not let itself be cancelled."""
    note("start", ctx)
    deadline = time.monotonic() + s
    while (left := deadline - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            pass
    note("end", ctx)
    return ctx.job.fence
