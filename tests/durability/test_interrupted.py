"""Redis there, and yet not answering as it should: loading, a replica, busy with another's script, without its scripts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from tests.durability.scene import Scene, scene
from tests.durability.servers import ALWAYS, EVERYSEC, both_servers, pair, server
from tests.durability.submitter import submitting
from tests.waiting import eventually

BUSY_S = 2


async def _says(on: Scene, words: str, timeout_s: float = 10) -> None:
    """Until a job is refused with these words."""

    async def said() -> bool:
        try:
            await on.queue.enqueue(NewJob("padded"))
        except StoreUnavailable as away:
            return words in str(away)
        return False

    await eventually(said, timeout_s, f"a job is refused: {words}")


async def _takes_jobs(on: Scene) -> None:
    """Until a job is accepted again; `./forge chaos durability` measures how soon."""

    async def accepted() -> bool:
        return (await on.http.post("/jobs", json={"kind": "padded"})).status_code == 201

    await eventually(accepted, 30, "jobs are accepted again")


@both_servers()
async def test_loading_is_waited_for_and_fails_no_job(binary: str, tmp_path: Path) -> None:
    with server(*ALWAYS, binary=binary) as redis:
        async with scene(redis, tmp_path) as on:
            on.worker()
            jobs = await on.queue.enqueue_many(
                [NewJob("nap", b'{"mark":%d,"s":0.2}' % at) for at in range(40)]
            )
            with redis.client() as client:
                client.eval("for at = 1, 20000 do redis.call('SET', 'other:' .. at, 'x') end", 0)
            await eventually(lambda: on.bench.lines("end"), 15, "work goes on")
            redis.kill()
            redis.start_again("--key-load-delay", "150")  # µs; it listens after each 1,024 commands
            await _says(on, "still loading", 15)
            assert (await on.http.get("/health")).json()["detail"] == "Redis is still loading its data"
            await on.completed([job.id for job in jobs], 40)
            assert not (await on.queue.read_stats()).failed, "no job fails for it"
            assert await on.lapses() == 0
            await on.is_well()


@both_servers()
async def test_a_primary_that_became_a_replica_loses_nothing_that_was_confirmed(
    binary: str, tmp_path: Path
) -> None:
    with pair(binary) as both:
        async with scene(both.primary, tmp_path, durability="replicated") as on:
            on.worker()
            async with submitting(on.queue, kind="padded") as submitter:
                await eventually(lambda: len(submitter.accepted) > 30, 20, "jobs are accepted")
                both.swap()
                await _says(on, "this Redis is a replica and refuses changes")
                assert (await on.http.post("/jobs", json={"kind": "padded"})).status_code == 503
                assert ("replica", "bad") in await on.attention()
                both.follow()
                await _takes_jobs(on)
                before = len(submitter.accepted)
                await eventually(lambda: len(submitter.accepted) > before + 30, 20, "and so on")
            assert submitter.refused["redis_unavailable"]
            await on.completed(list(submitter.accepted))
            await on.is_well()


async def test_the_script_of_another_costs_no_lease(tmp_path: Path) -> None:
    with server("--busy-reply-threshold", "100") as redis:
        async with scene(redis, tmp_path) as on:
            on.worker()
            running = [await on.queue.enqueue(NewJob("nap", b'{"mark":%d,"s":1}' % at)) for at in range(4)]
            await eventually(lambda: len(on.bench.lines("start")) == 4, 15, "four run")
            with redis.client() as client:
                spin = f"local b = os.clock() while os.clock() - b < {BUSY_S} do end"
                other = asyncio.create_task(asyncio.to_thread(client.eval, spin, 0))
                await _says(on, "busy with a script")
                await other
            await _takes_jobs(on)
            await on.completed([job.id for job in running])
            assert len(on.bench.lines("start")) == 4 and await on.lapses() == 0
            await on.is_well()


async def test_a_server_that_forgets_its_scripts_is_noticed_by_nobody(tmp_path: Path) -> None:
    with server(*EVERYSEC) as redis:
        async with scene(redis, tmp_path) as on:
            on.worker()
            flushes = 0

            async def flushed() -> bool:
                nonlocal flushes
                await asyncio.to_thread(_flush_scripts, on)
                flushes += 1
                answer = await on.http.post("/jobs", json={"kind": "padded"})
                assert answer.status_code == 201, answer.text
                return flushes >= 20

            async with submitting(on.queue, kind="padded") as submitter:
                await eventually(flushed, 30, "scripts are forgotten 20 times")
            assert not submitter.refused and len(submitter.accepted) > 20
            await on.completed(list(submitter.accepted))
            assert not (await on.queue.read_stats()).failed
            await on.is_well()


def _flush_scripts(on: Scene) -> None:
    with on.redis.client() as client:
        client.script_flush()
