"""A worker whose processes die by themselves, at a chosen step in the life of a job. Its target is `forge`.

Each process chooses a step and a number of jobs; once it has begun so many, it dies when a job next comes by that step.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from random import Random

from ironforge import Context, Forge
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Turn, TurnReply
from tests.chaos.tasks import note

STEPS = ("claimed", "begun", "worked", "ended", "settled")
forge = Forge()


class Fate:
    """When this process dies. The first lines say how the others did."""

    def __init__(self) -> None:
        self._deaths, self._calm = Path(os.environ["DEATHS"]), Path(os.environ["CALM"])
        rng = Random(f"{os.environ['SEED']} {os.getpid()}")
        self._step = rng.choice(STEPS)
        self._jobs = rng.randint(8, 25)

    def at(self, step: str) -> None:
        """Dies here, if here it is."""
        self._jobs -= step == "begun"
        if self._jobs < 0 and step == self._step and not self._calm.exists():
            with self._deaths.open("a") as deaths:
                deaths.write(f"{step}\n")
            os.kill(os.getpid(), signal.SIGKILL)


@forge.task("chaos.dying")
async def dying(ctx: Context, s: float) -> str:
    fate.at("begun")
    note("start", ctx)
    await asyncio.sleep(s / 2)
    fate.at("worked")
    await asyncio.sleep(s / 2)
    note("end", ctx)
    fate.at("ended")
    return ctx.job.fence


_turn = RedisQueue.turn


async def turn_of_fate(self: RedisQueue, turn: Turn) -> TurnReply:
    """Redis has done it, and the worker never learns."""
    reply = await _turn(self, turn)
    if turn.settlements:
        fate.at("settled")
    if reply.jobs:
        fate.at("claimed")
    return reply


if "DEATHS" in os.environ:
    fate = Fate()
    RedisQueue.turn = turn_of_fate
