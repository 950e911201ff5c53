"""What is done to a watched master or to a Cluster while jobs run, each with its instant (`time.time()`)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random

from tests.chaos.pacing import during
from tests.forms.nodes import Cluster, Node, Watched
from tests.waiting import wait_until

CALM_S = 1.0


@dataclass(slots=True)
class Record:
    """Attributes:
    kills: the master was killed, and when the rig was whole again.
    switches: the Sentinels were asked to choose another, or a slot was moved; and when that was over.
    """

    kills: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    switches: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    keys_moved: int = 0


async def fail_over(rig: Watched, rounds: int, rng: Random, record: Record) -> None:
    """In turns the master dies, and the Sentinels are asked for another while it lives."""
    for at in range(rounds):
        await during(CALM_S + rng.random())
        began = time.time()
        if at % 2 == 0:
            await asyncio.to_thread(_kill_and_mend, rig)
            record.kills.append((began, time.time()))
        else:
            await asyncio.to_thread(_switch, rig)
            record.switches.append((began, time.time()))
    await during(CALM_S)


def _kill_and_mend(rig: Watched) -> None:
    old = rig.master()
    old.kill()
    rig.await_new_master(old)
    old.start()
    wait_until(rig.is_whole, 60, "all three are there again")


def _switch(rig: Watched) -> None:
    rig.fail_over()
    wait_until(rig.is_whole, 60, "all three are there again")


async def move_and_kill(rig: Cluster, slots: list[int], rounds: int, rng: Random, record: Record) -> None:
    """In turns one of these slots moves to another master key by key, and its master dies."""
    for at in range(rounds):
        await during(CALM_S + rng.random())
        slot = rng.choice(slots)
        began = time.time()
        if at % 2 == 0:
            record.keys_moved += await asyncio.to_thread(_move, rig, slot, rng)
            record.switches.append((began, time.time()))
        else:
            await asyncio.to_thread(_kill_owner, rig, slot)
            record.kills.append((began, time.time()))
    await during(CALM_S)


def _move(rig: Cluster, slot: int, rng: Random) -> int:
    others = [node for node in rig.masters() if node is not rig.owner(slot)]
    moved = rig.move_slot(slot, rng.choice(others))
    wait_until(rig.is_whole, 60, "the Cluster is whole")
    return moved


def _kill_owner(rig: Cluster, slot: int) -> None:
    old: Node = rig.owner(slot)
    old.kill()
    wait_until(lambda: rig.owner(slot) is not old, 60, "a replica took its place")
    old.start()
    wait_until(rig.is_whole, 60, "the Cluster is whole")
