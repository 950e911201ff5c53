"""What workers of both versions run: each run is written to the ledger with the version that ran it."""

from __future__ import annotations

import asyncio
import os

from ironforge import Context, Forge
from ironforge.job import FORMAT

forge = Forge()


@forge.task("echo", max_retries=0)
async def echo(ctx: Context, mark: int = -1, s: float = 0.002) -> int:
    """Writes what it was given; -1 shows that it was given nothing."""
    await asyncio.sleep(s)
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{ctx.job.id} {mark} {FORMAT} {os.getpid()}\n")
    return mark
