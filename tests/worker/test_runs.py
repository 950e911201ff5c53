"""One run in its odd corners: threads that do not end, errors that bite back, and what is said of a handler that waited."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ironforge import Forge
from ironforge.context import Context
from ironforge.job import Job, JobStatus
from ironforge.queue.readings import Settlement
from ironforge.worker.deadlines import Deadlines
from ironforge.worker.processes import ProcessPool
from ironforge.worker.run import Run, Runner

forge = Forge()
entered, go_on = threading.Event(), threading.Event()


@forge.task("blocks")
def blocks() -> str:
    entered.set()
    go_on.wait(10)
    return "to its end"


@forge.task("stops.iteration")
def stops_iteration() -> None:
    raise StopIteration


class Hostile(Exception):
    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
        raise RuntimeError("asked for its class")


@forge.task("hostile")
async def hostile() -> None:
    raise Hostile


@forge.task("own.word")
async def own_word(ctx: Context) -> bool:
    ctx.request_cancel()
    return ctx.cancelled


@forge.task("waits")
async def waits(deep: int) -> None:
    if deep:
        await waits.function(deep - 1)
    else:
        await asyncio.Event().wait()


def _run(kind: str, payload: bytes = b"{}") -> Run:
    job = Job("j", kind, "default", JobStatus.RUNNING, payload, fence="1:t", max_retries=1)
    return Run(job, 1, 10.0, 1.0, lambda run: Context(run.job))


def _start(run: Run, threads: ThreadPoolExecutor | None = None) -> asyncio.Task[Settlement]:
    runner = Runner(forge.tasks, threads, ProcessPool())  # type: ignore[arg-type]
    run.task = task = asyncio.create_task(runner.run(run))
    return task


async def _settled(task: asyncio.Task[Settlement]) -> Settlement:
    """Not by `wait_for`: that would wait for the end of what it cancelled."""
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done, "it does not end"
    assert task.exception() is None
    return task.result()


async def test_a_slot_is_taken_until_its_thread_ends_however_often_it_is_cancelled() -> None:
    entered.clear()
    go_on.clear()
    with ThreadPoolExecutor(1) as threads:
        try:
            task = _start(_run("blocks"), threads)
            assert await asyncio.to_thread(entered.wait, 5)
            for _ in range(2):
                task.cancel()
                done, _ = await asyncio.wait({task}, timeout=0.03)
                assert not done
        finally:
            go_on.set()
        settlement = await _settled(task)
    assert (settlement.outcome, settlement.result_json) == ("completed", b'"to its end"')


async def test_a_stop_iteration_of_a_thread_is_an_error_as_any_other() -> None:
    """No future can hold it: one would wait for ever."""
    with ThreadPoolExecutor(1) as threads:
        settlement = await _settled(_start(_run("stops.iteration"), threads))
    assert settlement.outcome == "retry" and settlement.error_json
    assert "StopIteration" in json.loads(settlement.error_json)["message"]


async def test_an_error_that_fails_when_it_is_looked_at_costs_an_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settlement = await _settled(_start(_run("hostile")))
    assert settlement.outcome == "retry" and settlement.error_json
    assert json.loads(settlement.error_json)["type"] == "RuntimeError"
    assert "cannot be described" in caplog.text


async def test_a_handler_that_sets_its_own_mark_is_not_interrupted() -> None:
    settlement = await _settled(_start(_run("own.word")))
    assert (settlement.outcome, settlement.result_json) == ("completed", b"true")


@pytest.mark.parametrize(("deep", "said"), [(2, 3), (80, 40)])
async def test_what_is_late_is_told_with_where_it_waited(deep: int, said: int) -> None:
    run = _run("waits", b'{"deep": %d}' % deep)
    task = _start(run)
    for _ in range(3):
        await asyncio.wait({task}, timeout=0.01)
    run.time_is_up()
    await _settled(task)
    assert run.late
    (note,) = run.late.__notes__
    lines = note.splitlines()
    assert lines[0] == "when its time was up it waited at"
    assert said <= sum(line.endswith(" in waits") for line in lines) <= 50
    assert not any("/ironforge/worker/" in line for line in lines)


async def test_the_timer_of_deadlines_ends_with_them_and_only_the_nearest_is_set() -> None:
    looking = Deadlines(list, lambda _: None)
    looking.stop()  # before there is any
    looking.watch(asyncio.get_running_loop().time() + 100)
    far = looking._timer  # pyright: ignore[reportPrivateUsage]
    looking.watch(asyncio.get_running_loop().time() + 50)
    near = looking._timer  # pyright: ignore[reportPrivateUsage]
    looking.watch(asyncio.get_running_loop().time() + 100)
    assert near is looking._timer  # pyright: ignore[reportPrivateUsage]
    assert far and near and far.cancelled() and not near.cancelled()
    looking.stop()
    assert near.cancelled()
