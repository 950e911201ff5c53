"""The supervisor in the test's own process, its patience shortened; its children are real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ironforge.errors import ConfigError
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.worker import supervisor as under_test
from ironforge.worker.supervisor import Supervisor, WorkerOptions
from tests.system.bench import ended, is_running
from tests.system.processes import environment, is_alive
from tests.waiting import eventually

TASKS, HARD = "tests.system.tasks_forge:forge", "tests.worker.hard_tasks:forge"


@pytest.fixture(autouse=True)
def surroundings(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """What children inherit; and signals of the test run, which a supervisor takes over, are given back."""
    for name, value in environment(redis_url, namespace, LEDGER=str(tmp_path / "ledger")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Running:
    def __init__(self, options: WorkerOptions) -> None:
        self.supervisor = Supervisor(options)
        self.task = asyncio.create_task(self.supervisor.run())

    def pids(self) -> list[int]:
        return [child.pid for child in self.supervisor._children.values()]  # pyright: ignore[reportPrivateUsage]

    def ready(self) -> list[int]:
        """Those that claim."""
        children = self.supervisor._children.values()  # pyright: ignore[reportPrivateUsage]
        return [child.pid for child in children if child.claims and child.board.read().turned_at]

    def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    async def ended(self, within_s: float) -> int:
        return await asyncio.wait_for(asyncio.shield(self.task), within_s)


@asynccontextmanager
async def supervising(target: str = TASKS, **options: Any) -> AsyncIterator[Running]:
    running = Running(WorkerOptions(target, **{"concurrency": 2, "grace_s": 0.2, **options}))
    try:
        yield running
    finally:
        for pid in running.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not running.task.done():
            running.stop()
            await asyncio.gather(running.task, return_exceptions=True)


async def test_leases_are_renewed(queue: RedisQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "RENEW_S", 0.3)
    async with supervising() as running:
        await eventually(running.ready, 40)
        (worker,) = await queue.workers()
        await queue.client.zadd(queue.keys.workers, {worker.id: await queue.now_ms() + 3_000}, xx=True)

        async def renewed() -> bool:
            return [one.lease_s > 10 for one in await queue.workers() if one.id == worker.id] == [True]

        await eventually(renewed, 5)


async def test_a_child_that_cannot_hear_that_its_lease_was_taken_is_ended(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "RENEW_S", 0.3)
    async with supervising() as running:
        (child,) = await eventually(running.ready, 40)
        os.kill(child, signal.SIGSTOP)
        (worker,) = await queue.workers()
        await queue.hand_back(worker.id, "ended", {})
        await eventually(lambda: running.ready() not in ([], [child]), 40, "it is replaced")
        assert not is_alive(child)


@pytest.mark.parametrize("signals", [1, 2])
async def test_patience_ends(signals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that does not go down the ladder, here one that stands still, is killed; the second time at once."""
    monkeypatch.setattr(under_test, "PATIENCE_S", 0.5)
    async with supervising(shutdown_timeout_s=0.3 if signals == 1 else 60) as running:
        (child,) = await eventually(running.ready, 40)
        os.kill(child, signal.SIGSTOP)
        for count in range(signals):
            running.stop()
            await eventually(lambda count=count: running.supervisor._signals > count, 5)  # pyright: ignore[reportPrivateUsage]
        assert await running.ended(10) == 0
        assert not is_alive(child)


async def test_children_that_die_soon_after_their_start_are_replaced_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def pause(_self: Supervisor, pause_s: float) -> None:
        pauses.append(pause_s)

    monkeypatch.setattr(Supervisor, "_pause", pause)
    monkeypatch.setattr(under_test, "SHORT_LIFE_S", 600)  # a busy machine takes long to start one
    async with supervising() as running:
        killed: set[int] = set()
        for _ in range(4):
            child = await eventually(
                lambda: next((pid for pid in running.ready() if pid not in killed), None), 20
            )
            assert child
            killed.add(child)
            os.kill(child, signal.SIGKILL)
        await eventually(lambda: len(pauses) == 3, 10)
    assert pauses == [0.5, 1.0, 2.0]


async def test_one_that_left_jobs_behind_is_replaced_at_once(
    queue: RedisQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """What its jobs bear is the limit: three crashes."""
    async with supervising():
        jobs = await queue.enqueue_many([NewJob("poison") for _ in range(2)])
        assert {job.reason for job in await ended(queue, jobs, 30)} == {"worker_lost"}
    assert caplog.text.count("a worker process died") >= 4
    assert "die soon after their start" not in caplog.text


async def test_a_pause_ends_by_itself() -> None:
    await asyncio.wait_for(Supervisor(WorkerOptions(TASKS))._pause(0.01), 5)  # pyright: ignore[reportPrivateUsage]


async def test_a_pause_ends_with_a_stop() -> None:
    supervisor = Supervisor(WorkerOptions(TASKS))
    pausing = asyncio.create_task(supervisor._pause(60))  # pyright: ignore[reportPrivateUsage]
    await asyncio.sleep(0)
    supervisor._stopping.set()  # pyright: ignore[reportPrivateUsage]
    await asyncio.wait_for(pausing, 5)


async def test_stuck_ones_are_replaced_at_once_but_not_without_end(queue: RedisQueue, tmp_path: Path) -> None:
    """Each stuck handler sits beside a job that goes on, so that its process drains; two such at most per place."""
    async with supervising(HARD, shutdown_timeout_s=100) as running:
        gates = []
        for at in range(3):
            gates.append(await queue.enqueue(NewJob("gate", b'{"mark":%d}' % at)))
            await is_running(queue, gates[-1])
            stuck = await queue.enqueue(NewJob("deaf", b'{"mark":%d}' % at, timeout_ms=200, max_retries=0))
            await ended(queue, [stuck], 30)
            await eventually(_watching(running, at), 30, f"the next process is there, or waits ({at})")
        waiting = await queue.enqueue(NewJob("gate", b'{"mark":9}'))
        supervisor = running.supervisor
        await eventually(
            lambda: all(child.replaceable.is_set() for child in supervisor._children.values()), 30
        )  # pyright: ignore[reportPrivateUsage]
        for _ in range(200):  # turns of the loop in which a fourth would be started
            await asyncio.sleep(0)
        assert len(running.pids()) == 3
        (tmp_path / "gate").touch()
        assert {job.status for job in await ended(queue, [*gates, waiting], 40)} == {JobStatus.COMPLETED}


async def test_a_stop_waits_for_what_drains_already(
    queue: RedisQueue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervising(HARD, shutdown_timeout_s=100) as running:
        gate = await queue.enqueue(NewJob("gate", b'{"mark":1}'))
        await is_running(queue, gate)
        stuck = await queue.enqueue(NewJob("deaf", b'{"mark":1}', timeout_ms=200, max_retries=0))
        await ended(queue, [stuck], 30)
        await eventually(lambda: len(running.pids()) == 2 and len(running.ready()) == 2, 40)
        running.stop()
        await eventually(lambda: len(running.pids()) == 1, 40, "the one that has nothing to do ended")
        assert not running.task.done()
        (tmp_path / "gate").touch()
        assert await running.ended(30) == 0
    assert (await queue.get(gate.id)).status is JobStatus.COMPLETED
    assert "died" not in caplog.text, "both ended as they were meant to"


def _watching(running: Running, stuck: int) -> Callable[[], bool]:
    return lambda: len(running.pids()) == min(3, stuck + 2)


SLOW = """
import time
time.sleep(60)
"""


async def test_a_module_that_takes_too_long_to_load_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(under_test, "HANDSHAKE_S", 0.5)
    (tmp_path / "slow.py").write_text(SLOW)
    async with supervising("slow:forge"):
        await eventually(lambda: caplog.text.count("takes too long to load") == 2, 40, "it is tried again")


ONCE = """
import os, time
from ironforge import Forge
try:
    os.close(os.open("first", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    import nowhere_at_all
time.sleep(30)
forge = Forge()
"""


async def test_a_module_that_does_not_load_at_the_start_ends_all(tmp_path: Path) -> None:
    """As one of two processes finds out; the other is not left alone."""
    (tmp_path / "once.py").write_text(ONCE)
    running = Running(WorkerOptions("once:forge", processes=2))
    await eventually(lambda: len(running.pids()) == 2, 20)
    pids = running.pids()
    with pytest.raises(ConfigError, match="nowhere_at_all"):
        await running.ended(20)
    await eventually(lambda: not any(map(is_alive, pids)), 5)
