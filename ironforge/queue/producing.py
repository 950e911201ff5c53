"""How jobs come in: one at a time, in batches, and once per Idempotency-Key."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from ironforge.errors import IdempotencyConflict, JobNotFound, JobRemoved, NotConfirmed
from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.codec import enqueue_arguments, job_from_hash, new_to_job
from ironforge.queue.connection import store_errors
from ironforge.queue.durability import confirmed
from ironforge.queue.keys import shard_of_name
from ironforge.queue.namespace import Namespace
from ironforge.queue.scripts import Argument, run, stream
from ironforge.queue.shard import Shard

# Jobs per script call: far below the 8,000 values Lua can unpack, and a millisecond or two of Redis' time.
BATCH = 250
# Script calls of `enqueue` under way at once; what comes meanwhile goes together. Each may wait for a replica, and the
# connections it does not take are for others.
FLUSHES = 16


class Producing(Namespace):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waiting: list[tuple[NewJob, asyncio.Future[Job]]] = []
        self._alone = False  # one call is under way by itself, in its caller's task
        self._flushes: set[asyncio.Task[None]] = set()  # the loop itself holds none of them

    async def enqueue(self, new: NewJob) -> Job:
        """Accepts one job. One that comes alone goes at once; those that come meanwhile follow together, in their order."""
        if not (self._alone or self._waiting or self._flushes or self.durability == "replicated"):
            self._alone = True
            try:
                return (await self.enqueue_many((new,)))[0]
            finally:
                self._alone = False
                self._flush_soon()
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush_soon)
        future: asyncio.Future[Job] = loop.create_future()
        self._waiting.append((new, future))
        return await future

    async def enqueue_many(self, new_jobs: Sequence[NewJob]) -> list[Job]:
        """Accepts all of them in one round trip per shard, in their order. Jobs whose id exists are read and returned."""
        if not new_jobs:
            return []
        shards = self.shards or await self.all_shards()
        if len(shards) == 1:
            return await self._enqueue_in(shards[0], new_jobs, 0)
        parts: dict[int, list[int]] = {}
        for at, new in enumerate(new_jobs):
            parts.setdefault(shard_of_name(new.queue, len(shards)), []).append(at)
        found = await asyncio.gather(
            *(
                self._enqueue_in(shards[shard], [new_jobs[at] for at in ats], shard)
                for shard, ats in parts.items()
            )
        )
        placed = {
            at: job
            for ats, jobs in zip(parts.values(), found, strict=True)
            for at, job in zip(ats, jobs, strict=True)
        }
        return [placed[at] for at in range(len(new_jobs))]

    async def _enqueue_in(self, shard: Shard, new_jobs: Sequence[NewJob], number: int) -> list[Job]:
        if len(new_jobs) <= BATCH and self.durability != "replicated":
            with store_errors():
                reply = await run(
                    shard.client, shard.script("enqueue"), shard.keys.prefix, *_arguments(new_jobs, number)
                )
            return await self._jobs_of(new_jobs, reply)
        chunks = [new_jobs[at : at + BATCH] for at in range(0, len(new_jobs), BATCH)]
        answered = iter(chunks)
        jobs: list[Job] = []
        with store_errors():
            async with aclosing(self._accepted(shard, chunks, number)) as replies:
                async for reply in replies:
                    jobs += await self._jobs_of(next(answered), reply)
        return jobs

    async def _accepted(
        self, shard: Shard, chunks: list[Sequence[NewJob]], number: int
    ) -> AsyncGenerator[list[Any]]:
        """What the script says of each chunk. Raises NotConfirmed when a replica should have confirmed and none did."""
        code, keys = shard.script("enqueue"), shard.keys
        calls = (tuple(_arguments(chunk, number)) for chunk in chunks)
        if self.durability != "replicated":
            async with aclosing(
                stream(shard.client, code, keys.prefix, calls, shard.known_scripts)
            ) as replies:
                async for reply in replies:
                    yield reply
            return
        found, is_safe = await confirmed(shard.client, code, keys.prefix, list(calls), keys.tick("confirm"))
        if not is_safe:
            raise NotConfirmed([new.id for chunk in chunks for new in chunk])
        for reply in found:
            yield reply

    async def _jobs_of(self, new_jobs: Sequence[NewJob], reply: list[Any]) -> list[Job]:
        jobs: list[Job] = []
        for at, new in enumerate(new_jobs):
            word, due_ms = reply[1 + 2 * at], reply[2 + 2 * at]
            job = await self._known(new.id) if word == b"exists" else None
            if job is None:  # also for one that existed and is gone by now: it was accepted
                status = JobStatus.SCHEDULED if word == b"scheduled" else JobStatus.QUEUED
                job = new_to_job(new, reply[0], status, due_ms)
            jobs.append(job)
        return jobs

    async def submit(self, new: NewJob, idempotency_key: str, request_hash: str) -> tuple[Job, bool]:
        """Accepts a job once per key within 24 h.

        Args:
            idempotency_key: chosen by the caller.
            request_hash: of everything that makes the request what it is.

        Returns:
            The job, and whether this very call made it.

        Raises:
            IdempotencyConflict: the key stands for another request.
            JobRemoved: its job was deleted, or its retention ended.
        """
        shards = await self.all_shards()
        new.with_id(shard_of_name(new.queue, len(shards)))
        keeper = await self.of_name(idempotency_key)
        word, found = await keeper.call("reserve", idempotency_key, request_hash, new.id)
        job_id = found.decode()
        if word == b"conflict":
            raise IdempotencyConflict(idempotency_key)
        if word == b"done":
            try:
                return await self.get(job_id), False
            except JobNotFound:
                raise JobRemoved(job_id) from None
        new.id = job_id
        job = await self.enqueue(new)
        await keeper.call("confirm", idempotency_key, request_hash, job_id)
        return job, word == b"new"

    async def get(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        shard = await self.of_job(job_id)
        with store_errors():
            fields: dict[bytes, bytes] = await shard.client.execute_command("HGETALL", shard.keys.job(job_id))
        if not fields:
            raise JobNotFound(job_id)
        return job_from_hash(job_id, fields)

    async def _known(self, job_id: str) -> Job | None:
        try:
            return await self.get(job_id)
        except JobNotFound:
            return None

    def _flush_soon(self) -> None:
        """Sends what came together, unless so much is under way that it does better to wait and grow."""
        if self._alone or not self._waiting or len(self._flushes) >= FLUSHES:
            return
        waiting, self._waiting = self._waiting, []
        # In no caller's context: what a handler started ends with it, and here are the jobs of others too.
        task = asyncio.get_running_loop().create_task(self._flush(waiting), context=contextvars.Context())
        self._flushes.add(task)
        task.add_done_callback(self._flushed)

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._flushes.discard(task)
        self._flush_soon()

    async def _flush(self, waiting: list[tuple[NewJob, asyncio.Future[Job]]]) -> None:
        try:
            jobs = await self.enqueue_many([new for new, _ in waiting])
        except BaseException as error:
            for new, future in waiting:
                if not future.done():
                    future.set_exception(NotConfirmed([new.id]) if isinstance(error, NotConfirmed) else error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), job in zip(waiting, jobs, strict=True):
            if not future.done():
                future.set_result(job)


def _arguments(new_jobs: Sequence[NewJob], shard: int) -> list[Argument]:
    """Of one call of enqueue.lua."""
    arguments: list[Argument] = [len(new_jobs)]
    for new in new_jobs:
        arguments += enqueue_arguments(new.with_id(shard))
    return arguments
