"""A batch goes to Redis part by part: in its order, one part at a time, and nobody waits for the whole of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from ironforge.errors import NotConfirmed
from ironforge.job import Job, NewJob
from ironforge.json_exact import Element, read_batch
from ironforge.queue.backend import RedisQueue
from ironforge.server import batching
from ironforge.server.batching import submit_batch

PART = 10


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_PART", PART)


def elements(count: int, *bad: int) -> list[Element]:
    jobs = [{"kind": "No Name" if at in bad else "mail", "payload": {"n": at}} for at in range(count)]
    return read_batch(json.dumps({"jobs": jobs}).encode(), "jobs", max_elements=count)[1]


class Watched:
    """The queue itself, with a note of each call; `unsure` is the call that no replica confirms."""

    def __init__(self, queue: RedisQueue, unsure: int = -1) -> None:
        self._queue = queue
        self._unsure = unsure
        self.sizes: list[int] = []
        self.written: list[str] = []
        self.under_way = self.most_under_way = 0

    async def enqueue_many(self, new_jobs: Sequence[NewJob]) -> list[Job]:
        self.sizes.append(len(new_jobs))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            jobs = await self._queue.enqueue_many(new_jobs)
        finally:
            self.under_way -= 1
        self.written += [job.id for job in jobs]
        if len(self.sizes) - 1 == self._unsure:
            raise NotConfirmed([job.id for job in jobs])
        return jobs


async def send(watched: Watched, asked: list[Element]) -> batching.BatchOut:
    return await submit_batch(watched, asked, "", b"")  # type: ignore[arg-type]


async def test_parts_arrive_in_order_one_at_a_time(queue: RedisQueue) -> None:
    bad = (0, 9, 10, 24, *range(30, 40))  # ends of parts, and a whole part
    watched = Watched(queue)

    answer = await send(watched, elements(45, *bad))

    assert watched.sizes == [8, 9, 9, 5]
    assert watched.most_under_way == 1
    assert [error.index for error in answer.errors] == list(bad)
    assert [at for at, job_id in enumerate(answer.ids) if job_id is None] == list(bad)
    ids = [job_id for job_id in answer.ids if job_id]
    assert ids == watched.written
    stored = await queue.get_many(ids)
    assert [job.payload["n"] for job in stored if job] == [at for at in range(45) if at not in bad]


async def test_others_are_served_between_parts(queue: RedisQueue) -> None:
    watched, asked = Watched(queue), elements(5 * PART)
    seen: set[int] = set()

    async def other() -> None:
        while True:
            seen.add(len(watched.sizes))
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await send(watched, asked)
    task.cancel()

    assert seen >= set(range(1, 6))


async def test_a_part_is_on_its_way_while_the_next_is_checked(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, asked = Watched(queue), elements(3 * PART)
    sent_before: list[int] = []
    check = batching.new_job

    def noting(*arguments: Any) -> NewJob:
        sent_before.append(len(watched.sizes))
        return check(*arguments)

    monkeypatch.setattr(batching, "new_job", noting)
    await send(watched, asked)

    assert sent_before == [0] * PART + [1] * PART + [2] * PART


async def test_a_part_that_is_not_confirmed_names_all_that_reached_redis(queue: RedisQueue) -> None:
    watched = Watched(queue, unsure=1)

    with pytest.raises(NotConfirmed) as caught:
        await send(watched, elements(35))

    assert len(caught.value.job_ids) == 2 * PART
    assert caught.value.job_ids == watched.written
    assert watched.sizes == [PART, PART]
