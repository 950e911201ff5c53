"""Readings of queues, workers and statistics. Nothing here changes anything."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any, cast

from ironforge.job import Priority
from ironforge.queue.codec import json_object, members_of, number, text
from ironforge.queue.connection import store_errors
from ironforge.queue.durability import INFO_REFUSED, online_replicas
from ironforge.queue.grouping import Grouping
from ironforge.queue.keys import SLOT_MS, by_shard
from ironforge.queue.listing import Listing
from ironforge.queue.readings import (
    Health,
    Histogram,
    QueueReading,
    RunningJob,
    Series,
    SlotCounts,
    Stats,
    TaskReading,
    WorkerReading,
)

MAX_QUEUES = 1000
MAX_WORKERS = 1000


class Reading(Listing, Grouping):
    _closed_slots: dict[int, SlotCounts] | None = None

    async def read_queues(self) -> list[QueueReading]:
        """Every queue ever used (at most 1,000), by name; `default` always."""
        return await self._read_queues((await self.queue_names())[:MAX_QUEUES])

    async def read_queue(self, name: str) -> QueueReading:
        return (await self._read_queues([name]))[0]

    async def _read_queues(self, names: list[str]) -> list[QueueReading]:
        shards = await self.all_shards()
        found: dict[str, QueueReading] = {}
        for at, part in by_shard(names, len(shards)).items():
            now_ms, *readings = await shards[at].call("read_queues", *part)
            for name, values in zip(part, readings, strict=True):
                found[name] = _queue_reading(name, values, now_ms)
        return [found[name] for name in names]

    async def workers(self) -> list[WorkerReading]:
        """Every registered worker, those whose lease ran out but was not reaped yet too."""
        now_ms = await self.now_ms()
        leases: dict[str, int] = {}
        claims: Counter[str] = Counter()
        hashes: dict[str, dict[bytes, bytes]] = {}
        for shard in await self.all_shards():
            with store_errors():
                found = await shard.client.execute_command(
                    "ZRANGE", shard.keys.workers, 0, MAX_WORKERS - 1, "WITHSCORES"
                )
                expiries = {wid.decode(): int(float(expiry)) for wid, expiry in members_of(found)}
                pipe = shard.client.pipeline(transaction=False)
                for wid in expiries:
                    pipe.execute_command("HGETALL", shard.keys.worker(wid))
                    pipe.execute_command("SCARD", shard.keys.claims(wid))
                replies = await pipe.execute() if expiries else []
            for at, (wid, expiry) in enumerate(expiries.items()):
                leases[wid] = min(expiry, leases.get(wid, expiry))
                hashes[wid] = replies[2 * at]
                claims[wid] += replies[2 * at + 1]
        return [
            _worker_reading(wid, hashes[wid], claims[wid], leases[wid] - now_ms, now_ms)
            for wid in sorted(leases)
        ]

    async def tasks(self) -> list[TaskReading]:
        """Every kind that live workers can run. Each worker is registered in each shard, so one is asked."""
        kinds: dict[str, TaskReading] = {}
        now_ms = await self.now_ms()
        shard = (await self.all_shards())[0]
        with store_errors():
            live = await shard.client.execute_command(
                "ZRANGE", shard.keys.workers, now_ms, "+inf", "BYSCORE", "LIMIT", 0, MAX_WORKERS
            )
            pipe = shard.client.pipeline(transaction=False)
            for wid in live:
                pipe.execute_command("HMGET", shard.keys.worker(wid.decode()), "kinds", "queues")
            replies = await pipe.execute() if live else []
        for described, queues in replies:
            names = [name for name in text(queues, "").split(",") if name]
            for kind, about in json_object(described).items():
                if isinstance(about, dict):
                    kinds[kind] = _task_reading(kind, cast("dict[str, Any]", about), names, kinds.get(kind))
        return [kinds[kind] for kind in sorted(kinds)]

    async def read_stats(self) -> Stats:
        """Counters and histograms of all shards, added up."""
        sums: Counter[bytes] = Counter()
        for shard in await self.all_shards():
            with store_errors():
                fields: dict[bytes, bytes] = await shard.client.execute_command("HGETALL", shard.keys.stats)
            sums.update({name: number(value, 0) for name, value in fields.items()})
        stats = Stats()
        for name, value in sums.items():
            _add_stat(stats, name.decode().split("|"), value)
        return stats

    async def read_series(self, slots: int = 30) -> Series:
        """The last `slots` × 10 s. Slots that are over are read once and kept."""
        now_ms = await self.now_ms()
        current = now_ms // SLOT_MS
        kept = self._closed_slots or {}
        wanted = range(current - slots + 1, current + 1)
        read = {slot: SlotCounts(slot * SLOT_MS) for slot in wanted if slot not in kept}
        for shard in await self.all_shards():
            with store_errors():
                pipe = shard.client.pipeline(transaction=False)
                for slot in read:
                    pipe.execute_command("HGETALL", shard.keys.stats_slot(slot))
                replies = await pipe.execute()
            for counts, fields in zip(read.values(), replies, strict=True):
                _count_in(counts, fields)
        found = {**kept, **read}
        self._closed_slots = {slot: found[slot] for slot in wanted if slot < current}
        return Series(now_ms, [found[slot] for slot in wanted])

    async def health(self) -> Health:
        """What the Redis behind this queue is. Raises StoreUnavailable."""
        began = time.perf_counter()
        clock_ms = await self.now_ms()
        latency_ms = (time.perf_counter() - began) * 1000
        info, disk = await self.read_redis()
        name = str(info.get("server_name", "redis"))
        version = str(info.get(f"{name}_version", info.get("redis_version", "?")))
        return Health(
            server=f"{name} {version}",
            redis_version=str(info.get("redis_version", "?")),
            durability="replicated" if self.durability == "replicated" else disk.word,
            policy=str(info.get("maxmemory_policy", "noeviction")) if info else INFO_REFUSED,
            latency_ms=latency_ms,
            used_memory=int(info.get("used_memory", 0)),
            max_memory=int(info.get("maxmemory", 0)),
            clock_ms=clock_ms,
            asked=self.durability,
            persistence=disk.sentence,
            replicas=online_replicas(info),
            is_replica=info.get("role") == "slave",
            failing=disk.failing,
        )


def _queue_reading(name: str, values: list[Any], now_ms: int) -> QueueReading:
    paused, version, queued, suspects, scheduled, retrying, running, completed, dead, cancelled, since = (
        values
    )
    since_ms = int(since) if since != b"" else None
    return QueueReading(
        name=name,
        paused_ms=int(paused) if paused else None,
        version=version,
        queued=queued + suspects,
        suspects=suspects,
        scheduled=scheduled,
        retrying=retrying,
        running=running,
        completed=completed,
        dead=dead,
        cancelled=cancelled,
        ready_since_ms=since_ms,
        oldest_s=None if since_ms is None else max(0.0, (now_ms - since_ms) / 1000),
    )


def _worker_reading(
    wid: str, fields: dict[bytes, bytes], claims: int, lease_ms: int, now_ms: int
) -> WorkerReading:
    def word(name: bytes) -> str:
        return text(fields.get(name), "")

    beat = number(fields.get(b"beat_at"), 0)
    return WorkerReading(
        id=wid,
        host=word(b"host"),
        pid=number(fields.get(b"pid"), 0),
        supervisor_pid=number(fields.get(b"supervisor_pid"), 0),
        version=word(b"version"),
        queues=[name for name in word(b"queues").split(",") if name],
        kinds=sorted(json_object(fields.get(b"kinds"))),
        concurrency=number(fields.get(b"concurrency"), 0),
        state="lost" if lease_ms < 0 else word(b"state") or "running",
        started_ms=number(fields.get(b"started_ms"), number(fields.get(b"registered_at"), 0)),
        lease_s=lease_ms / 1000,
        beat_age_s=max(0.0, (now_ms - beat) / 1000) if beat else None,
        claims=claims,
        cpu_pct=_decimal(word(b"cpu_pct")),
        rss_bytes=number(fields.get(b"rss_bytes"), 0) or None,
        running=_running(fields.get(b"running")),
        done=number(fields.get(b"done"), 0),
        failed=number(fields.get(b"failed"), 0),
        last_crash=json_object(fields.get(b"last_crash")) or None,
        blocked=json_object(fields.get(b"blocked")) or None,
    )


def _decimal(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _running(stored: bytes | None) -> list[RunningJob]:
    try:
        return [
            RunningJob(
                str(job["id"]), str(job["kind"]), str(job["queue"]), int(job["started_ms"]), int(job["slot"])
            )
            for job in json.loads(stored or b"[]")
        ]
    except (ValueError, TypeError, KeyError):
        return []


def _task_reading(
    kind: str, about: dict[str, Any], queues: list[str], known: TaskReading | None
) -> TaskReading:
    return TaskReading(
        kind=kind,
        workers=(known.workers if known else 0) + 1,
        queues=sorted({*(known.queues if known else ()), *queues}),
        schema=about.get("schema") or {},
        timeout_s=about.get("timeout_s"),
        max_retries=about.get("max_retries"),
        process=bool(about.get("process")),
    )


def _add_stat(stats: Stats, name: list[str], value: int) -> None:
    match name:
        case ["submitted", kind, rank]:
            stats.submitted[kind, Priority.from_rank(int(rank)).value] = value
        case ["completed", kind]:
            stats.completed[kind] = value
        case ["failed", kind]:
            stats.failed[kind] = value
        case ["retried", kind, count]:
            stats.retried[kind, count] = value
        case ["dlq", kind]:
            stats.dlq[kind] = value
        case ["duration", kind, status, part]:
            _observe(stats.durations.setdefault((kind, status), Histogram()), part, value)
        case ["wait", kind, part]:
            _observe(stats.waits.setdefault(kind, Histogram()), part, value)
        case _:
            stats.others["|".join(name)] = value


def _observe(histogram: Histogram, part: str, value: int) -> None:
    if part == "sum":
        histogram.sum_ms = value
    elif part.isdigit() and 1 <= int(part) <= len(histogram.buckets):
        histogram.buckets[int(part) - 1] = value


def _count_in(counts: SlotCounts, fields: dict[bytes, bytes]) -> None:
    for name, value in fields.items():
        what, _, which = name.decode().partition("|")
        if what == "wait" and which.isdigit() and 1 <= int(which) <= len(counts.wait):
            counts.wait[int(which) - 1] += number(value, 0)
        elif what in ("submitted", "completed", "failed", "dead"):
            queues: dict[str, int] = getattr(counts, what)
            queues[which] = queues.get(which, 0) + number(value, 0)
