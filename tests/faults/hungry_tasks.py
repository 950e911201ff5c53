"""Tasks for tests of the network: they say what they do in the ledger named by LEDGER, and ask Redis for a lot."""

from __future__ import annotations

import asyncio
import os
import time

from ironforge import Context, Forge
from ironforge.errors import StoreUnavailable

forge = Forge()


def note(word: str, ctx: Context) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{word} {ctx.job.id} {os.getpid()} {time.monotonic():.4f}\n")


@forge.task("net.nap")
async def nap(ctx: Context, s: float) -> None:
    note("start", ctx)
    ctx.progress(0.5)
    await asyncio.sleep(s)
    note("end", ctx)


@forge.task("net.hungry", timeout_s=120)
async def hungry(ctx: Context, calls: int, s: float) -> int:
    """For so long, keeps so many calls under way: more than there are connections."""
    note("start", ctx)
    answered = 0

    async def ask() -> None:
        nonlocal answered
        while time.monotonic() < until:
            try:
                await forge.get(ctx.job.id)
                answered += 1
            except StoreUnavailable:
                pass

    until = time.monotonic() + s
    await asyncio.gather(*(ask() for _ in range(calls)))
    note("end", ctx)
    return answered
