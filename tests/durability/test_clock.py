"""Clocks that are wrong, or jump: all times are Redis' own, and when those jump nobody is reaped in a rush."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ironforge.job import NewJob
from ironforge.server import overview
from tests.durability.scene import Scene, scene
from tests.durability.servers import EMBEDDED, EVERYSEC, faked, needs_faketime, server
from tests.durability.submitter import submitting
from tests.system.processes import await_text, free_port, ironforge, running
from tests.waiting import eventually

pytestmark = needs_faketime()


async def _began(on: Scene, count: int) -> None:
    await eventually(lambda: len(on.bench.lines("start")) >= count, 20, f"{count} run")


async def _reaper_looked(on: Scene, since_ms: int) -> bool:
    tick = int(await on.queue.client.hget(on.queue.keys.meta, "reap_tick") or 0)
    return since_ms <= tick < since_ms + 60_000


async def _is_renewed(on: Scene) -> bool:
    return all(0 < worker.lease_s <= 15 for worker in await on.queue.workers())


async def test_wrong_clocks_of_worker_and_server_change_nothing(tmp_path: Path) -> None:
    """One is a day ahead, the other a day behind."""
    with server(*EVERYSEC) as redis:
        async with scene(redis, tmp_path) as on:
            port = free_port()
            ahead, behind = (
                {**on.bench.env, **dict(word.split("=", 1) for word in faked(days))}
                for days in ("+1d", "-1d")
            )
            logs = [tmp_path / "w1.log", tmp_path / "server.log"]
            commands = [
                ironforge("worker", "tests.durability.tasks:forge", "--concurrency", "4"),
                ironforge("server", "--bind", f"127.0.0.1:{port}"),
            ]
            with running(commands[0], ahead, logs[0]), running(commands[1], behind, logs[1]):
                await_text(logs[0], "worker ready")
                await_text(logs[1], "listening")
                url = f"http://127.0.0.1:{port}"
                answer = await on.http.post(f"{url}/jobs", json={"kind": "padded", "delay_s": 1.5})
                assert answer.status_code == 201
                later = answer.json()
                (soon,) = [(await on.http.post(f"{url}/jobs", json={"kind": "padded"})).json()]
                await on.completed([soon["id"], later["id"]], 20)
                job = await on.queue.get(later["id"])
                assert job.started_ms and job.run_at_ms, "by Redis' clock, neither early nor a day late"
                assert 0 <= job.started_ms - job.run_at_ms < 10_000
                assert abs(job.started_ms / 1000 - time.time()) < 60
                (worker,) = await on.queue.workers()
                assert 0 < worker.lease_s <= 15
                warnings = (await on.http.get(f"{url}/health")).json()["warnings"]
                assert any("the clock of Redis" in warning for warning in warnings)
            assert await on.lapses() == 0
            await on.is_well()


@pytest.mark.parametrize("jump_s", [3_600, -3_600])
async def test_redis_clock_jumps(jump_s: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_HEALTH_S", 0.2)
    with server(*EVERYSEC, binary=EMBEDDED, faked_clock=True) as redis:
        async with scene(redis, tmp_path) as on:
            supervisor = on.worker()
            for at in range(4):
                await on.queue.enqueue(NewJob("nap", b'{"mark":%d,"s":3}' % at))
            await _began(on, 4)
            (before,) = [worker.id for worker in await on.queue.workers()]
            async with submitting(on.queue, kind="padded", pause_s=0.02) as submitter:
                await eventually(lambda: len(submitter.accepted) > 5, 20)
                os.kill(
                    supervisor.pid, signal.SIGSTOP
                )  # so that the reaper looks before the lease is renewed
                redis.move_clock(jump_s)
                moved_ms = await on.queue.now_ms()
                await eventually(lambda: _reaper_looked(on, moved_ms), 20, "the reaper looked at the leases")
                os.kill(supervisor.pid, signal.SIGCONT)

                async def told() -> bool:
                    return ("clock", "warn") in await on.attention()

                await eventually(told, 10, "the alert is raised")
                count = len(submitter.accepted)
                await eventually(lambda: len(submitter.accepted) > count + 20, 20)
            assert f"{jump_s:+,}"[:4] in (await on.http.get("/health")).json()["warnings"][0]
            assert not submitter.refused
            await on.completed(list(submitter.accepted))
            later = await on.queue.enqueue(NewJob("padded", delay_ms=500))
            await on.completed([later.id], 15)
            await eventually(lambda: _is_renewed(on), 15, "the lease is renewed")
            assert [worker.id for worker in await on.queue.workers()] == [before], "nobody was reaped"
            assert await on.lapses() == 0 and len(on.bench.lines("start")) == 4, "nothing ran twice"
            await on.is_well()
