"""What workers and their supervisors do: lease, claim, settle, beat, hand back, lock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ironforge.job import Job, JobStatus
from ironforge.queue.codec import job_from_hash, pairs
from ironforge.queue.connection import store_errors
from ironforge.queue.readings import BeatReply, Settlement, Turn, TurnReply, WorkerInfo
from ironforge.queue.scripts import Argument
from ironforge.queue.store import Store

LEASE_MS = 15_000
# Due jobs that one claim promotes per queue and status at most.
PROMOTED_PER_CLAIM = 200


class Working(Store):
    async def register(self, wid: str, info: WorkerInfo, lease_ms: int = LEASE_MS) -> bool:
        """Gives a worker its lease. False when the id is taken: an id is never used twice."""
        described = {
            "host": info.host,
            "pid": str(info.pid),
            "supervisor_pid": str(info.supervisor_pid),
            "version": info.version,
            "queues": ",".join(info.queues),
            "concurrency": str(info.concurrency),
            "kinds": json.dumps(info.kinds),
            "started_ms": str(info.started_ms or await self._clock_ms()),
        }
        return await self.call("register", wid, lease_ms, *_flat(described)) == b"ok"

    async def renew(self, *wids: str, lease_ms: int = LEASE_MS) -> list[Literal["ok", "gone"]]:
        """Extends leases; `gone` for a worker that was reaped."""
        words = await self.call("renew", lease_ms, *wids)
        return ["ok" if word == b"ok" else "gone" for word in words]

    async def beat(self, wid: str, fields: Mapping[str, str]) -> BeatReply:
        """Says that the worker's loop is alive, and what it does; brings its orders."""
        reply = await self.call("beat", wid, *_flat(fields))
        return BeatReply("gone", []) if reply[0] == b"gone" else BeatReply("ok", _words(reply[1]))

    async def turn(self, turn: Turn) -> TurnReply:
        """Settles, then claims, in one round trip. Safe to send again as it is: see settle.lua and claim.lua."""
        pipeline = self.pipeline()
        if turn.settlements:
            pipeline.add(self.script("settle"), *_settle_arguments(turn.settlements))
        if turn.slots:
            claim = (turn.wid, turn.lane, turn.token, turn.slots, PROMOTED_PER_CLAIM, *turn.queues)
            pipeline.add(self.script("claim"), *claim)
        with store_errors():
            replies = await pipeline.run()
        settled = _words(replies.pop(0)) if turn.settlements else []
        if not turn.slots:
            return TurnReply(settled, "ok", [], [], None)
        claimed = replies[0]
        if claimed[0] == b"gone":
            return TurnReply(settled, "gone", [], [], None)
        _, orders, due_ms, jobs = claimed
        return TurnReply(
            settled, "ok", _claimed_jobs(turn.wid, jobs), _words(orders), None if due_ms < 0 else due_ms
        )

    async def wait_for_wake(self, queues: Sequence[str], timeout_s: float) -> str | None:
        """Blocks until one of the queues may have something, or `timeout_s` passed. Takes the mark."""
        keys = [self.keys.wake(queue) for queue in queues]
        key = await self.block_on(keys, timeout_s)
        return None if key is None else queues[keys.index(key.decode())]

    async def give_back_wake(self, queue: str) -> None:
        """For a worker that took the mark and has no free slot: another may want it."""
        with store_errors():
            await self.client.execute_command("ZADD", self.keys.wake(queue), 1, "ready")

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
        return await self.call("hand_back", wid, cause, _evidence(cause, evidence))

    async def deregister(self, wid: str) -> Literal["ok", "gone", "busy"]:
        word: bytes = await self.call("deregister", wid)
        return "ok" if word == b"ok" else "gone" if word == b"gone" else "busy"

    async def progress(self, job_id: str, fence: str, progress_json: str) -> bool:
        """False when the job does not run under this fence any more."""
        return await self.call("progress", job_id, fence, progress_json) == b"ok"

    async def lock_acquire(self, name: str, token: str, ttl_ms: int) -> bool:
        return bool(await self.call("lock", "acquire", name, token, ttl_ms))

    async def lock_renew(self, name: str, token: str, ttl_ms: int) -> bool:
        return bool(await self.call("lock", "renew", name, token, ttl_ms))

    async def lock_release(self, name: str, token: str) -> bool:
        return bool(await self.call("lock", "release", name, token, 0))

    async def _clock_ms(self) -> int:
        with store_errors():
            seconds, micros = await self.client.execute_command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]


def _words(reply: Sequence[bytes]) -> list[str]:
    return [word.decode() for word in reply]


def _settle_arguments(settlements: Sequence[Settlement]) -> list[Argument]:
    arguments: list[Argument] = [len(settlements)]
    for one in settlements:
        arguments += (
            one.job_id,
            one.fence,
            one.outcome,
            one.result_json or b"",
            one.error_json or "",
            one.delay_ms,
            one.fingerprint or "unknown",
            one.reason or "",
        )
    return arguments


def _claimed_jobs(wid: str, reply: Sequence[Any]) -> list[Job]:
    jobs: list[Job] = []
    for at in range(0, len(reply), 4):
        job = job_from_hash(reply[at].decode(), pairs(reply[at + 3]))
        # The hash was read just before the claim was written into it.
        job.status, job.worker, job.progress_json = JobStatus.RUNNING, wid, None
        job.fence, job.started_ms = reply[at + 1].decode(), reply[at + 2]
        jobs.append(job)
    return jobs


def _evidence(cause: str, evidence: Mapping[str, Any]) -> str:
    words = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in evidence.items() if value is not None
    )
    kinds = {"crashed": "WorkerCrashed", "ended": "WorkerEnded", "lapsed": "WorkerLost"}
    return json.dumps({"type": kinds[cause], "message": words or "no evidence", "traceback": ""})
