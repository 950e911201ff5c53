"""What workers and their supervisors do: lease, beat, hand back, progress, lock. Claims and settles: turning.py.

A worker is registered in every shard, whichever queues it serves: each shard reaps by itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Literal

from ironforge.queue.connection import store_errors
from ironforge.queue.readings import BeatReply, WorkerInfo
from ironforge.queue.turning import words_of
from ironforge.queue.waking import Waking

LEASE_MS = 15_000


class Working(Waking):
    async def register(self, wid: str, info: WorkerInfo, lease_ms: int = LEASE_MS) -> bool:
        """Gives a worker its lease. False when the id is taken: an id is never used twice."""
        await self.remember_shards()
        described = {
            "host": info.host,
            "pid": str(info.pid),
            "supervisor_pid": str(info.supervisor_pid),
            "version": info.version,
            "queues": ",".join(info.queues),
            "concurrency": str(info.concurrency),
            "kinds": json.dumps(info.kinds),
            "started_ms": str(info.started_ms or await self.now_ms()),
        }
        words = await self._everywhere("register", wid, lease_ms, *_flat(described))
        return all(word == b"ok" for word in words)

    async def renew(self, *wids: str, lease_ms: int = LEASE_MS) -> list[Literal["ok", "gone"]]:
        """Extends leases; `gone` for a worker that was reaped, in whichever shard."""
        replies = await self._everywhere("renew", lease_ms, *wids)
        return [
            "ok" if all(word == b"ok" for word in words) else "gone" for words in zip(*replies, strict=True)
        ]

    async def beat(self, wid: str, fields: Mapping[str, str]) -> BeatReply:
        """Says that the worker's loop is alive, and what it does; brings its orders."""
        replies = await self._everywhere("beat", wid, *_flat(fields))
        if any(reply[0] == b"gone" for reply in replies):
            return BeatReply("gone", [])
        return BeatReply("ok", [order for reply in replies for order in words_of(reply[1])])

    async def claims_of(self, wid: str) -> list[tuple[str, str]]:
        """The jobs that run on a worker by the books: (id, fence)."""
        found: list[tuple[str, str]] = []
        for shard in await self.all_shards():
            with store_errors():
                held = await shard.client.execute_command("SMEMBERS", shard.keys.claims(wid))
                ids = [job_id.decode() for job_id in held]
                pipe = shard.client.pipeline(transaction=False)
                for job_id in ids:
                    pipe.execute_command("HMGET", shard.keys.job(job_id), "status", "worker", "fence")
                replies = await pipe.execute() if ids else []
            for job_id, (status, worker, fence) in zip(ids, replies, strict=True):
                if status == b"running" and worker == wid.encode() and fence:
                    found.append((job_id, fence.decode()))
        return found

    async def hand_back(
        self, wid: str, cause: Literal["crashed", "ended"], evidence: Mapping[str, Any]
    ) -> int:
        """The jobs of a worker that is gone go back at once.

        Args:
            cause: `crashed` charges a crash to each job, `ended` (by its own supervisor) charges nobody.
            evidence: signal, exit code, memory: kept as the error of the attempts.

        Returns:
            How many were handed back; -1 when the worker was not registered any more.
        """
        counts = await self._everywhere("hand_back", wid, cause, _evidence(cause, evidence))
        known = [count for count in counts if count >= 0]
        return sum(known) if known else -1

    async def deregister(self, wid: str) -> Literal["ok", "gone", "busy"]:
        """`busy` while it holds jobs in some shard: it stays registered there."""
        words = set(await self._everywhere("deregister", wid))
        return "busy" if b"busy" in words else "ok" if b"ok" in words else "gone"

    async def progress(self, job_id: str, fence: str, progress_json: str) -> bool:
        """False when the job does not run under this fence any more."""
        shard = await self.of_job(job_id)
        return await shard.call("progress", job_id, fence, progress_json) == b"ok"

    async def lock_acquire(self, name: str, token: str, ttl_ms: int) -> bool:
        return await self._lock("acquire", name, token, ttl_ms)

    async def lock_renew(self, name: str, token: str, ttl_ms: int) -> bool:
        return await self._lock("renew", name, token, ttl_ms)

    async def lock_release(self, name: str, token: str) -> bool:
        return await self._lock("release", name, token, 0)

    async def _lock(self, verb: str, name: str, token: str, ttl_ms: int) -> bool:
        shard = await self.of_name(name)
        return bool(await shard.call("lock", verb, name, token, ttl_ms))

    async def _everywhere(self, script: str, *arguments: str | int) -> list[Any]:
        """The script's reply of each shard."""
        shards = self.shards or await self.all_shards()
        if len(shards) == 1:
            return [await shards[0].call(script, *arguments)]
        return await asyncio.gather(*(shard.call(script, *arguments) for shard in shards))


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]


def _evidence(cause: str, evidence: Mapping[str, Any]) -> str:
    words = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in evidence.items() if value is not None
    )
    kinds = {"crashed": "WorkerCrashed", "ended": "WorkerEnded", "lapsed": "WorkerLost"}
    return json.dumps({"type": kinds[cause], "message": words or "no evidence", "traceback": ""})
