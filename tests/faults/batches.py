"""A batch of jobs whose request, or reply, is cut at every byte: each job is whole or absent."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.faults.proxy import Cut, FaultProxy

JOBS = 100


@dataclass(slots=True)
class CutBatch:
    """What was tried; `wrong` in words."""

    requests_cut: int = 0
    replies_cut: int = 0
    bytes_of_request: int = 0
    bytes_of_reply: int = 0
    wrong: list[str] = field(default_factory=list[str])


async def cut_batch(
    proxy: FaultProxy, through: RedisQueue, direct: RedisQueue, rng: Random, step: int = 1
) -> CutBatch:
    """Sends a batch of 100 again and again, each time cut `step` bytes further on; then the same for its reply.

    The jobs have the same ids each time. A cut request leaves none of them; a cut reply leaves all, each whole.
    """
    found = CutBatch()
    batch = [
        NewJob("mail", b'{"n":%d}' % rng.randrange(10**9), "batch", max_retries=rng.randrange(5)).with_id()
        for _ in range(JOBS)
    ]
    await through.enqueue_many([NewJob("mail", queue="other")])  # the script is known from now on
    length, at = 2, 1
    while at < length:
        length = await _cut(proxy, through, batch, Cut("request", at)) or length
        if (await direct.read_queue("batch")).queued:
            found.wrong.append(f"a request cut at byte {at} of {length} made jobs")
            break
        found.requests_cut += 1
        at += step
    found.bytes_of_request = length
    length, at = 2, 0
    while at < length:
        length = await _cut(proxy, through, batch, Cut("reply", at)) or length
        if at == 0:
            await _compare(direct, batch, found)
        if (await direct.read_queue("batch")).queued != JOBS:
            found.wrong.append(f"a reply cut at byte {at} of {length} did not leave all jobs")
        found.replies_cut += 1
        at += max(1, step // 10)
    found.bytes_of_reply = length
    proxy.decide = lambda _, __: None
    again = await through.enqueue_many(batch)
    if [job.id for job in again] != [new.id for new in batch]:
        found.wrong.append("sent again, the batch gave other jobs")
    await _compare(direct, batch, found)
    return found


async def _cut(proxy: FaultProxy, through: RedisQueue, batch: list[NewJob], cut: Cut) -> int | None:
    """Sends it once, cut; the length of the message that was cut."""
    proxy.decide = lambda _, request: cut if request[0] == b"EVALSHA" else None
    proxy.length_cut = 0
    try:
        await through.enqueue_many(batch)
    except StoreUnavailable:
        return proxy.length_cut
    raise AssertionError("a cut exchange was answered")


async def _compare(direct: RedisQueue, batch: list[NewJob], found: CutBatch) -> None:
    for new, job in zip(batch, await direct.get_many([new.id for new in batch]), strict=True):
        if job is None or (job.payload_json, job.max_retries) != (new.payload_json, new.max_retries):
            found.wrong.append(f"{new.id} is not whole: {job}")
