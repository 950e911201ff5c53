"""All keys deleted behind our back: nothing crashes, nothing half comes back, and work goes on."""

from __future__ import annotations

from pathlib import Path

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import WorkerInfo
from tests.durability.scene import scene
from tests.durability.servers import server
from tests.durability.submitter import submitting
from tests.queue.state import check_books, dump
from tests.waiting import eventually


async def test_flushall_under_load(tmp_path: Path) -> None:
    with server() as redis:
        async with scene(redis, tmp_path) as on:
            on.worker()
            for at in range(4):
                await on.queue.enqueue(NewJob("nap", b'{"mark":%d,"s":1}' % at))
            await eventually(lambda: len(on.bench.lines("start")) == 4, 15, "four run")
            (before,) = [worker.id for worker in await on.queue.workers()]
            async with submitting(on.queue, kind="padded") as submitter:
                await eventually(lambda: len(submitter.accepted) > 20, 15, "jobs are accepted")
                with redis.client() as client:
                    client.flushall()

                async def is_back() -> bool:
                    return any(worker.id != before for worker in await on.queue.workers())

                await eventually(is_back, 20, "the worker noticed that its lease is gone, and is back")
            assert not submitter.refused, "those who submit notice nothing"
            job = await on.queue.enqueue(NewJob("padded"))
            await on.completed([job.id])
            for key, fields in (await dump(on.queue)).items():
                if key.startswith("job:"):
                    assert {"kind", "queue", "status", "created_at"} <= set(fields), "no half job"
                assert before not in key, "nothing of the worker that was forgotten"
            await check_books(on.queue)
            await on.is_well()


async def test_a_newcomer_finds_the_number_of_shards_that_was_forgotten(
    redis_url: str, namespace: str
) -> None:
    """A worker that comes back writes it again; a process that took it for one would look for jobs where none are."""
    async with RedisQueue(redis_url, namespace, shards=3) as queue:
        await queue.remove_namespace()
        about = WorkerInfo("host", 1, 1, "0.1.0", ("default",), 1)
        assert await queue.register("back", about)
        async with RedisQueue(redis_url, namespace) as newcomer:
            assert len(await newcomer.all_shards()) == 3
