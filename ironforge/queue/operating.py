"""What an operator does to jobs and queues. Each call is one script; with `once` it has its effect once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from ironforge.errors import IdempotencyConflict, InvalidTransition, JobNotFound, JobRunning, QueueNotFound
from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.producing import Producing
from ironforge.queue.readings import NEVER, Once


class Operating(Producing):
    async def delete(self, job_id: str, *, once: Once = NEVER) -> None:
        """Removes a job that does not run. Raises JobNotFound, JobRunning."""
        word = await self._operate("delete", job_id, once=once)
        if word == "running":
            raise JobRunning(job_id)

    async def retry(self, job_id: str, *, reset_retry_count: bool = True, once: Once = NEVER) -> Job:
        """dead or cancelled -> queued. Raises JobNotFound, InvalidTransition."""
        before = await self._known(job_id)
        word = await self._operate("retry", job_id, int(reset_retry_count), once=once)
        if word != "done":
            raise InvalidTransition(job_id, word, "only dead and cancelled jobs can be retried")
        counts = dict.fromkeys(("retry_count", "crashes", "lapses"), 0) if reset_retry_count else {}
        generation = before.generation + 1 if before else 0
        return await self._after(
            job_id,
            before,
            JobStatus.QUEUED,
            generation=generation,
            finished_ms=None,
            run_at_ms=None,
            **counts,
        )

    async def retry_as_new(self, job_id: str, payload_json: bytes, *, once: Once = NEVER) -> Job:
        """A new job like a dead or cancelled one, with another payload and `retry_of`; the old one stays.

        Raises JobNotFound, InvalidTransition, IdempotencyConflict.
        """
        old = await self.get(job_id)
        if old.status not in (JobStatus.DEAD, JobStatus.CANCELLED):
            raise InvalidTransition(job_id, old.status, "only dead and cancelled jobs can be retried")
        if old.is_newer:
            raise InvalidTransition(job_id, "stored by a newer version", "that version can make one like it")
        new = NewJob(
            kind=old.kind,
            payload_json=payload_json,
            queue=old.queue,
            priority=old.priority,
            max_retries=old.max_retries,
            timeout_ms=None if old.timeout_s is None else round(old.timeout_s * 1000),
            retention_ms=None if old.retention_s is None else round(old.retention_s * 1000),
            backoff=old.backoff,
            tags=tuple(old.tags),
            retry_of=old.id,
        )
        if once.key:
            job, _ = await self.submit(new, once.key, once.request_hash)
            return job
        return await self.enqueue(new)

    async def run_now(self, job_id: str, *, once: Once = NEVER) -> Job:
        """scheduled or retrying -> queued. Raises JobNotFound, InvalidTransition."""
        before = await self._known(job_id)
        word = await self._operate("run", job_id, once=once)
        if word != "done":
            raise InvalidTransition(job_id, word, "only scheduled and retrying jobs can be run now")
        return await self._after(job_id, before, JobStatus.QUEUED)

    async def cancel(
        self, job_id: str, *, once: Once = NEVER
    ) -> tuple[Job, Literal["requested", "cancelled"]]:
        """Cancels a waiting job, or asks the worker of a running one. Raises JobNotFound, InvalidTransition."""
        before = await self._known(job_id)
        word = await self._operate("cancel", job_id, once=once)
        if word == "requested":
            return await self._after(job_id, before, JobStatus.RUNNING), "requested"
        if word != "done":
            raise InvalidTransition(job_id, word, "only a live job can be cancelled")
        return await self._after(job_id, before, JobStatus.CANCELLED), "cancelled"

    async def pause(self, queue: str, *, once: Once = NEVER) -> None:
        """The queue hands out nothing until resumed; what runs goes on. Raises QueueNotFound."""
        await self._switch(queue, "pause", once)

    async def resume(self, queue: str, *, once: Once = NEVER) -> None:
        await self._switch(queue, "resume", once)

    async def _switch(self, queue: str, verb: str, once: Once) -> None:
        shard = await self.of_queue(queue)
        word = await shard.call("pause", queue, verb, once.key, once.request_hash)
        if word == b"key_conflict":
            raise IdempotencyConflict(once.key)
        if word == b"missing":
            raise QueueNotFound(queue)

    async def _after(self, job_id: str, before: Job | None, status: JobStatus, **changed: Any) -> Job:
        """The job as it is now. One that was deleted since the script changed it: as it was then, for it was changed."""
        job = await self._known(job_id)
        if job is None and before is not None:
            job = replace(before, status=status, **changed)
        if job is None:
            raise JobNotFound(job_id)
        return job

    async def _operate(self, name: str, job_id: str, *arguments: int, once: Once) -> str:
        shard = await self.of_job(job_id)
        word: str = (await shard.call(name, job_id, *arguments, once.key, once.request_hash)).decode()
        if word == "missing":
            raise JobNotFound(job_id)
        if word == "key_conflict":
            raise IdempotencyConflict(once.key)
        return word
