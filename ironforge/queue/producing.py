"""How jobs come in: one at a time, in batches, and once per Idempotency-Key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ironforge.errors import IdempotencyConflict, JobNotFound, JobRemoved
from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.codec import enqueue_arguments, job_from_hash, new_to_job
from ironforge.queue.connection import store_errors
from ironforge.queue.keys import shard_of_name
from ironforge.queue.namespace import Namespace
from ironforge.queue.scripts import Argument
from ironforge.queue.shard import Shard

# Jobs per script call: far below the 8,000 values Lua can unpack, and a few ms of Redis' time.
BATCH = 500


class Producing(Namespace):
    _waiting: list[tuple[NewJob, asyncio.Future[Job]]] | None = None

    async def enqueue(self, new: NewJob) -> Job:
        """Accepts one job. Calls made in the same tick of the loop share one script call."""
        loop = asyncio.get_running_loop()
        if self._waiting is None:
            self._waiting = []
            loop.call_soon(self._flush_soon)
        future: asyncio.Future[Job] = loop.create_future()
        self._waiting.append((new, future))
        return await future

    async def enqueue_many(self, new_jobs: Sequence[NewJob]) -> list[Job]:
        """Accepts all of them in one round trip per shard, in their order. Jobs whose id exists are read and returned."""
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
        pipeline = shard.pipeline()
        code = shard.script("enqueue")
        chunks = [new_jobs[at : at + BATCH] for at in range(0, len(new_jobs), BATCH)]
        for chunk in chunks:
            arguments: list[Argument] = [len(chunk)]
            for new in chunk:
                arguments += enqueue_arguments(new.with_id(number))
            pipeline.add(code, *arguments)
        with store_errors():
            replies = await pipeline.run()
        jobs: list[Job] = []
        for chunk, reply in zip(chunks, replies, strict=True):
            for at, new in enumerate(chunk):
                word, due_ms = reply[1 + 2 * at], reply[2 + 2 * at]
                if word == b"exists":
                    jobs.append(await self.get(new.id))
                else:
                    jobs.append(new_to_job(new, reply[0], JobStatus(word.decode()), due_ms))
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

    def _flush_soon(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        task = asyncio.get_running_loop().create_task(self._flush(waiting))
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _flush(self, waiting: list[tuple[NewJob, asyncio.Future[Job]]]) -> None:
        try:
            jobs = await self.enqueue_many([new for new, _ in waiting])
        except BaseException as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), job in zip(waiting, jobs, strict=True):
            if not future.done():
                future.set_result(job)

    @property
    def _flushes(self) -> set[asyncio.Task[None]]:
        """Keeps a reference to each running flush: the loop itself holds none."""
        found: set[asyncio.Task[None]] = self.__dict__.setdefault("_running_flushes", set())
        return found
