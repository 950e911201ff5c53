"""A full disk: changes are refused, results are held, and all goes on once there is room."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ironforge.errors import StoreUnavailable
from ironforge.job import JobStatus, NewJob
from ironforge.server import overview
from tests.durability.scene import scene
from tests.durability.servers import EVERYSEC, both_servers, server
from tests.waiting import eventually


@both_servers()
async def test_results_are_held_until_there_is_room(
    binary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_HEALTH_S", 0.2)
    with server(*EVERYSEC, binary=binary) as redis:
        async with scene(redis, tmp_path) as on:
            on.worker()
            running = [await on.queue.enqueue(NewJob("nap", b'{"mark":%d,"s":0.5}' % at)) for at in range(4)]
            waiting = await on.queue.enqueue_many([NewJob("padded", b'{"mark":%d}' % at) for at in range(20)])
            await eventually(lambda: len(on.bench.lines("start")) == 4, 15, "four run")
            redis.fill_disk()

            async def refused() -> bool:
                try:
                    job = await on.queue.enqueue(NewJob("padded"))
                except StoreUnavailable as away:
                    return "cannot write to its disk" in str(away)
                waiting.append(job)
                return False

            await eventually(refused, 10, "a job is refused")
            answer = await on.http.post("/jobs", json={"kind": "padded"})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "cannot write to its disk" in answer.json()["detail"]
            await eventually(lambda: len(on.bench.lines("end")) == 4, 15, "handlers end all the same")
            assert ("disk", "bad") in await on.attention(), "what only reads is answered"
            assert (await on.http.get("/jobs")).json()["jobs"]
            found = await on.queue.get_many([job.id for job in running])
            assert {job.status for job in found if job} == {JobStatus.RUNNING}, (
                "nothing of them is lost or settled"
            )

            redis.make_room()
            began = time.monotonic()
            await on.completed([job.id for job in running], 20)
            print(f"settled {time.monotonic() - began:.1f} s after there was room")
            await on.completed([job.id for job in waiting], 20)
            assert len(on.bench.lines("start")) == 4, "no result was lost, so nothing ran twice"
            assert await on.lapses() == 0
            assert (await on.http.post("/jobs", json={"kind": "padded"})).status_code == 201
            await on.is_well()


@both_servers()
async def test_with_always_the_server_ends_and_keeps_what_it_accepted(binary: str, tmp_path: Path) -> None:
    """It cannot take back what it did not write, so it stops; whoever starts it again finds all that was accepted."""
    with server(*EVERYSEC, "--appendfsync", "always", binary=binary) as redis:
        async with scene(redis, tmp_path, durability="always") as on:
            accepted = [(await on.queue.enqueue(NewJob("padded"))).id for _ in range(20)]
            redis.fill_disk()

            async def refused() -> bool:
                try:
                    accepted.append((await on.queue.enqueue(NewJob("padded"))).id)
                except StoreUnavailable:
                    return True
                return False

            await eventually(refused, 10, "a job is refused")
            assert redis.process
            redis.process.wait(10)
            assert (await on.http.get("/health")).status_code == 503
            redis.start()
            found = await on.queue.get_many(accepted)
            assert all(found), "each accepted job is there"
            await on.is_well()
