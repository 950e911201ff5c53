"""A job that is deleted between the script that changed it and the reading after it: the change is answered all the same."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from ironforge.errors import JobNotFound
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Once
from tests.queue.state import Lane, dead_job


@contextmanager
def _deleted_after(queue: RedisQueue, script: str, job_id: str, *rest: str) -> Generator[None]:
    """Somebody deletes the job right after the script; before that, `rest` is called, where it cannot be deleted yet."""
    (shard,) = queue.shards
    call = shard.call

    async def and_delete(name: str, *arguments: Any) -> Any:
        reply = await call(name, *arguments)
        if name == script:
            if rest:
                await call(*rest)
            assert await call("delete", job_id, "", "") == b"deleted"
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard, "call", and_delete)
        yield


async def test_a_retry(queue: RedisQueue, lane: Lane) -> None:
    dead = await dead_job(queue, lane)
    with _deleted_after(queue, "retry", dead.id):
        job = await queue.retry(dead.id)
    assert (job.id, job.kind, job.status) == (dead.id, dead.kind, JobStatus.QUEUED)
    assert (job.retry_count, job.generation, job.finished_ms) == (0, 1, None)
    with pytest.raises(JobNotFound):
        await queue.get(dead.id)


async def test_a_run_now(queue: RedisQueue) -> None:
    later = await queue.enqueue(NewJob("greet", b'{"to":"ada"}', delay_ms=60_000))
    with _deleted_after(queue, "run", later.id):
        job = await queue.run_now(later.id)
    assert (job.id, job.payload, job.status) == (later.id, {"to": "ada"}, JobStatus.QUEUED)


async def test_a_cancel(queue: RedisQueue) -> None:
    waiting = await queue.enqueue(NewJob("greet"))
    with _deleted_after(queue, "cancel", waiting.id):
        job, word = await queue.cancel(waiting.id)
    assert (job.id, job.status, word) == (waiting.id, JobStatus.CANCELLED, "cancelled")


async def test_a_cancel_of_a_running_job(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (running,) = await lane.claim()
    with _deleted_after(queue, "cancel", running.id, "hand_back", lane.wid, "ended", ""):
        job, word = await queue.cancel(running.id)
    assert (job.id, job.status, word) == (running.id, JobStatus.RUNNING, "requested")


async def test_a_known_key_whose_job_is_gone_is_no_job(queue: RedisQueue) -> None:
    """The effect was answered before; there is nothing left that could be told of it."""
    waiting, once = await queue.enqueue(NewJob("greet")), Once("key-1", "hash")
    await queue.cancel(waiting.id, once=once)
    await queue.delete(waiting.id)
    with pytest.raises(JobNotFound):
        await queue.cancel(waiting.id, once=once)


async def test_a_job_of_a_batch_that_was_accepted_before(queue: RedisQueue) -> None:
    """Sent again because the answer was lost: the others of the batch are told of as well."""
    batch = [NewJob("greet", f'{{"n":{n}}}'.encode(), delay_ms=60_000).with_id() for n in range(3)]
    await queue.enqueue_many(batch)
    read = queue.get

    async def delete_and_read(job_id: str) -> Any:
        if job_id == batch[1].id:
            await queue.delete(job_id)
        return await read(job_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "get", delete_and_read)
        jobs = await queue.enqueue_many(batch)
    assert [(job.id, job.payload["n"]) for job in jobs] == [(new.id, n) for n, new in enumerate(batch)]
