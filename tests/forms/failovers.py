"""What is done to a watched master or to a Cluster while jobs run, each with its instants (`time.time()`)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from tests.chaos.pacing import during
from tests.forms.nodes import Cluster, Node, Watched
from tests.waiting import wait_until

CALM_S = 1.0
PAUSE_MS = 20_000  # longer than the Sentinels need to tell a master that it is one no more


class Event(NamedTuple):
    """From its moment until all was well again; the slots that were concerned, of a Cluster."""

    at: float
    until: float
    slots: tuple[int, ...] = ()


@dataclass(slots=True)
class Record:
    """Attributes:
    kills: of the master, or of one of several.
    switches: another master was asked for while the old one lived.
    moves: of a slot.
    """

    kills: list[Event] = field(default_factory=list[Event])
    switches: list[Event] = field(default_factory=list[Event])
    moves: list[Event] = field(default_factory=list[Event])
    keys_moved: int = 0


async def fail_over(rig: Watched, rounds: int, rng: Random, record: Record, *, paused: bool) -> None:
    """In turns the master dies, and the Sentinels are asked for another while it lives.

    Args:
        paused: it is told to take no writes before it is replaced, as docs/redis.md advises.
    """
    for at in range(rounds):
        await during(CALM_S + rng.random())
        if at % 2 == 0:
            record.kills.append(await asyncio.to_thread(_kill_and_mend, rig))
        else:
            record.switches.append(await asyncio.to_thread(_switch, rig, paused))
    await during(CALM_S)


def _kill_and_mend(rig: Watched) -> Event:
    old = rig.master()
    old.kill()
    moment = time.time()
    rig.await_new_master(old)
    old.start()
    wait_until(rig.is_whole, 60, "all three are there again")
    return Event(moment, time.time())


def _switch(rig: Watched, paused: bool) -> Event:
    moment = time.time()
    if paused:
        rig.master().ask("CLIENT", "PAUSE", PAUSE_MS, "WRITE")
    rig.fail_over()
    wait_until(rig.is_whole, 60, "all three are there again")
    return Event(moment, time.time())


async def move_and_kill(rig: Cluster, slots: list[int], rounds: int, rng: Random, record: Record) -> None:
    """In turns one of these slots moves to another master key by key, and its master dies."""
    for at in range(rounds):
        await during(CALM_S + rng.random())
        slot = rng.choice(slots)
        if at % 2 == 0:
            began = time.time()
            record.keys_moved += await asyncio.to_thread(_move, rig, slot, rng)
            record.moves.append(Event(began, time.time(), (slot,)))
        else:
            record.kills.append(await asyncio.to_thread(_kill_owner, rig, slot, slots))
    await during(CALM_S)


def _move(rig: Cluster, slot: int, rng: Random) -> int:
    others = [node for node in rig.masters() if node is not rig.owner(slot)]
    moved = rig.move_slot(slot, rng.choice(others))
    wait_until(rig.is_whole, 60, "the Cluster is whole")
    return moved


def _kill_owner(rig: Cluster, slot: int, slots: list[int]) -> Event:
    old: Node = rig.owner(slot)
    concerned = tuple(one for one in slots if rig.owner(one) is old)
    old.kill()
    moment = time.time()
    wait_until(lambda: rig.owner(slot) is not old, 60, "a replica took its place")
    old.start()
    wait_until(rig.is_whole, 60, "the Cluster is whole")
    return Event(moment, time.time(), concerned)
