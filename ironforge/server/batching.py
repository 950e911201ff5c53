"""A batch of jobs: each one checked by itself, those that are well accepted in their order."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

from ironforge.errors import (
    IdempotencyConflict,
    InvalidJob,
    IronForgeError,
    JobRemoved,
    NotConfirmed,
    StoreUnavailable,
)
from ironforge.forge import request_hash
from ironforge.job import Job, NewJob
from ironforge.json_exact import Element
from ironforge.queue.backend import RedisQueue
from ironforge.requests import BatchJobIn
from ironforge.schemas import BatchOut, EntryError
from ironforge.server.limits import ANSWER_TIMEOUT_S
from ironforge.server.problems import invalid
from ironforge.server.submitting import checked, new_job

# Jobs that are checked in one go, while Redis takes those before them: some 10 ms in which the loop serves nobody else.
_PART = 1_000
# Jobs of a batch that carry a key take three round trips each; so many go on at once.
_AT_ONCE = 64


async def submit_batch(queue: RedisQueue, elements: list[Element], batch_key: str, body: bytes) -> BatchOut:
    """Accepts every job that is well; says for each other one why not.

    Args:
        batch_key: the request's own Idempotency-Key, or ''. It counts for each job that has none of its own.

    Raises:
        IdempotencyConflict: the batch's key stands for another batch.
        NotConfirmed: names each job without a key that reached Redis, also those of it that were confirmed.
    """
    errors: list[EntryError] = []
    ids: list[str | None] = [None] * len(elements)
    keyed: list[tuple[int, NewJob, str, str]] = []
    plain = _InOrder(queue, ids)
    body_hash = sha256(body).hexdigest()[:32] if batch_key else ""
    accepted = 0
    for start in range(0, len(elements), _PART):
        part: list[tuple[int, NewJob]] = []
        for index, element in enumerate(elements[start : start + _PART], start):
            try:
                new, key = _entry(element)
            except InvalidJob as refused:
                errors += [EntryError(index=index, **found) for found in refused.errors[:5]]
                continue
            if key or batch_key:
                hashed = request_hash(new) if key else body_hash
                keyed.append((index, new, key or f"{batch_key}:{accepted}", hashed))
            else:
                part.append((index, new))
            accepted += 1
        await plain.send(part)
    await plain.arrived()
    for at in range(0, len(keyed), _AT_ONCE):
        chunk = keyed[at : at + _AT_ONCE]
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            outcomes = await asyncio.gather(
                *(queue.submit(new, key, hashed) for _, new, key, hashed in chunk), return_exceptions=True
            )
        if unsure := [outcome for outcome in outcomes if isinstance(outcome, NotConfirmed)]:
            raise NotConfirmed([job_id for one in unsure for job_id in one.job_ids])
        for (index, _, key, _), outcome in zip(chunk, outcomes, strict=True):
            ids[index] = _submitted(index, key, outcome, batch_key, errors)
    return BatchOut(ids=ids, errors=sorted(errors, key=lambda error: error.index))


class _InOrder:
    """Sends jobs part by part. While Redis takes one part, the next is checked; two under way could change places."""

    def __init__(self, queue: RedisQueue, ids: list[str | None]) -> None:
        self._queue = queue
        self._ids = ids
        self._part: list[tuple[int, NewJob]] = []
        self._under_way: asyncio.Task[list[Job]] | None = None

    async def send(self, part: list[tuple[int, NewJob]]) -> None:
        await self.arrived()
        if part:
            self._part = part
            sending = self._queue.enqueue_many([new for _, new in part])
            self._under_way = asyncio.create_task(sending)
            # So that it is sent before the caller takes the loop: one step to write it, and uvloop writes at a step's end.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def arrived(self) -> None:
        """Waits until Redis took what was sent, and notes the ids."""
        if self._under_way is None:
            return
        try:
            jobs = await self._under_way
        except NotConfirmed as error:
            raise NotConfirmed([*filter(None, self._ids), *error.job_ids]) from None
        finally:
            self._under_way = None
        for (index, _), job in zip(self._part, jobs, strict=True):
            self._ids[index] = job.id


def _entry(element: Element) -> tuple[NewJob, str]:
    if isinstance(element, list):
        raise invalid("the job", element)
    asked = checked(BatchJobIn, element.values, "the job")
    return new_job(asked, element), asked.idempotency_key or ""


def _submitted(index: int, key: str, outcome: Any, batch_key: str, errors: list[EntryError]) -> str | None:
    if isinstance(outcome, IdempotencyConflict | JobRemoved):
        if batch_key and key == f"{batch_key}:0":
            raise IdempotencyConflict(batch_key) if isinstance(outcome, IdempotencyConflict) else outcome
        errors.append(EntryError(index=index, pointer="/idempotency_key", detail=str(outcome)))
        return None
    if isinstance(outcome, BaseException):
        raise outcome if isinstance(outcome, IronForgeError) else StoreUnavailable("Redis does not answer")
    return outcome[0].id
