"""Whatever a handler returns or raises, or leaves behind: its job ends in the books, and its process goes on."""

from __future__ import annotations

import json

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import check_books
from tests.system.bench import Bench, ended
from tests.worker.nasty_tasks import RETURNS, WAYS

TARGET = "tests.worker.nasty_tasks:forge"


async def test_54_nasty_ends_settle_and_the_worker_lives(queue: RedisQueue, bench: Bench) -> None:
    bench.worker(target=TARGET)
    (first,) = await ended(queue, [await queue.enqueue(NewJob("looks"))])
    ways = [(kind, way) for way in WAYS for kind in ("nasty", "nasty.thread")]
    jobs = await queue.enqueue_many(
        [NewJob(kind, json.dumps({"way": way}).encode(), max_retries=0) for kind, way in ways]
    )
    for (kind, way), job in zip(ways, await ended(queue, jobs, 60), strict=True):
        wanted = JobStatus.COMPLETED if way in RETURNS else JobStatus.DEAD
        assert (job.status, job.crashes, job.lapses) == (wanted, 0, 0), (
            f"{kind} {way}: {str(job.last_error)[:500]}"
        )
        assert len(job.result_json or b"") < 300_000
        if job.last_error:
            assert len(job.last_error.message) < 5_000 and len(job.last_error.traceback) < 20_000, way
    (after,) = await ended(queue, [await queue.enqueue(NewJob("looks"))])
    assert after.result == first.result, "the same process"
    await check_books(queue)


async def test_no_task_of_a_handler_is_left_in_its_process(queue: RedisQueue, bench: Bench) -> None:
    bench.worker(target=TARGET)
    jobs = await queue.enqueue_many([NewJob("leaves.tasks", b'{"count":5}') for _ in range(100)])
    assert {job.status for job in await ended(queue, jobs)} == {JobStatus.COMPLETED}
    (looked,) = await ended(queue, [await queue.enqueue(NewJob("looks"))])
    assert looked.result[1] == 0
    assert bench.log().count("the handler left tasks behind") == 100
    assert "is replaced" not in bench.log()
