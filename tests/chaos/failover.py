"""Failovers under load: behind Sentinels, with and without waiting for a replica; and in a Cluster whose slots move.

What asynchronous replication loses is counted and reported; with `replicated`, and a master that is told to take no
writes before it is replaced, nothing that was confirmed may be lost. Whatever was lost, the books are consistent and
everything that is left ends.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

from redis.crc import key_slot

from ironforge.queue.keys import shard_of_name
from tests.chaos.pacing import count_row, during, times_row
from tests.chaos.scorecard import Row, Setting
from tests.forms.failovers import Event, Record, fail_over, move_and_kill
from tests.forms.nodes import Cluster, Node, Watched
from tests.forms.trial import QUEUES, Outcome, Trial

FAILOVERS, LAG_MS, DOWN_AFTER_MS = 20, 20, 3_000
CLUSTER_ROUNDS, SHARDS = 8, 6
AWAY_S = 20.0


async def run(setting: Setting) -> list[Row]:
    return [
        *await _watched(setting, "replicated", setting.of(FAILOVERS, 2)),
        *await _watched(setting, "local", setting.of(FAILOVERS // 4, 2)),
        *await _cluster(setting, setting.of(CLUSTER_ROUNDS, 2)),
        *await _away(setting),
    ]


async def _watched(setting: Setting, durability: str, rounds: int) -> list[Row]:
    folder = _folder(setting, durability)
    rig = Watched(folder, str(setting.redis_server), down_after_ms=DOWN_AFTER_MS, lag_ms=LAG_MS)
    rng, record = Random(setting.seed), Record()
    safely = durability == "replicated"
    try:
        await asyncio.to_thread(rig.start)
        setting.tell(f"failover: {rounds} failovers behind Sentinels, {durability}")
        trial = Trial(rig.url, folder, rng, durability=durability)
        outcome = await trial.during(fail_over(rig, rounds, rng, record, paused=safely))
    finally:
        rig.stop()
    name = f"{durability}, {LAG_MS} ms lag:"
    how = "paused and switched" if safely else "switched"
    told = (
        f"{outcome.lost:,} of {len(outcome.acknowledged):,}: {outcome.lost_in(record.kills):,} in {len(record.kills)} "
        f"kills, {outcome.lost_in(record.switches):,} when {len(record.switches)} masters were {how}"
    )
    firsts = [outcome.first_completion_s(event.at) for event in record.kills]
    pauses = [outcome.longest_pause_s(event.at, event.until) for event in record.switches]
    return [
        Row(f"{name} acknowledged jobs lost", told, "0" if safely else "", not outcome.lost if safely else None),
        times_row(f"{name} master killed → first completion", firsts, 10),
        times_row(f"{name} longest pause, master {how}", pauses, None),
        *_books(name, outcome),
    ]  # fmt: skip


async def _cluster(setting: Setting, rounds: int) -> list[Row]:
    folder = _folder(setting, "cluster")
    rig = Cluster(folder, str(setting.redis_server), node_timeout_ms=2_000)
    rng, record = Random(setting.seed), Record()
    try:
        await asyncio.to_thread(rig.start)
        setting.tell(f"failover: {rounds} rounds in a Cluster of 6, {SHARDS} shards")
        trial = Trial(rig.url, folder, rng, shards=SHARDS)
        slots = [key_slot(f"trial:{{{tag}}}:".encode()) for tag in trial.tags]
        outcome = await trial.during(move_and_kill(rig, slots, rounds, rng, record))
    finally:
        rig.stop()

    def concerned(event: Event) -> set[str]:
        return {name for name in QUEUES if slots[shard_of_name(name, SHARDS)] in event.slots}

    name = "cluster:"
    killed = [event for event in record.kills if concerned(event)]
    firsts = [outcome.first_completion_s(event.at, concerned(event)) for event in killed]
    told = f"{outcome.lost:,} of {len(outcome.acknowledged):,} in {len(record.kills)} kills"
    return [
        Row(f"{name} acknowledged jobs lost", told),
        count_row(f"{name} … while {record.keys_moved:,} keys of {len(record.moves)} slots moved", outcome.lost_in(record.moves), outcome.lost),
        count_row(f"{name} CROSSSLOT", outcome.crossings, len(outcome.acknowledged)),
        times_row(f"{name} master killed → first completion in its shards", firsts, 10),
        *_books(name, outcome),
    ]  # fmt: skip


async def _away(setting: Setting) -> list[Row]:
    """Longer than a lease, on a Redis that keeps everything: nobody is reaped, and nobody is charged."""
    folder = _folder(setting, "away")
    node = Node(folder, str(setting.redis_server), ["appendonly yes", "appendfsync always"])
    gone: list[float] = []

    async def go_away() -> None:
        await during(2)
        node.kill()
        await during(AWAY_S)
        await asyncio.to_thread(node.start)
        gone.append(time.time())
        await during(20)

    try:
        await asyncio.to_thread(node.start)
        setting.tell(f"failover: Redis is away for {AWAY_S:.0f} s")
        outcome = await Trial(node.url, folder, Random(setting.seed)).during(go_away())
    finally:
        node.stop()
    name = f"away {AWAY_S:.0f} s:"
    charged = sum(job.crashes + job.lapses + job.retry_count for job in outcome.jobs)
    return [
        count_row(f"{name} acknowledged jobs lost", outcome.lost, len(outcome.acknowledged)),
        count_row(f"{name} crashes, lapses and retries charged", charged, len(outcome.jobs)),
        times_row(f"{name} back → first completion", [outcome.first_completion_s(at) for at in gone], 10),
        *_books(name, outcome),
    ]


def _books(name: str, outcome: Outcome) -> list[Row]:
    left = len(outcome.jobs)
    return [
        count_row(f"{name} jobs left that did not end", outcome.live, left),
        count_row(f"{name} jobs left that did not complete", outcome.not_completed, left),
        count_row(f"{name} what the auditor finds", len(outcome.findings), left),
        Row(f"{name} jobs that ran more than once", f"{outcome.ran_twice:,} of {left:,}"),
        count_row(f"{name} errors of their own in workers", len(outcome.worker_errors), 2),
    ]


def _folder(setting: Setting, name: str) -> Path:
    folder = setting.folder / name
    folder.mkdir()
    return folder
