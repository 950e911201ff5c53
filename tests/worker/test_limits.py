"""How long a handler may run, what it gets when that is over, and what a run is settled with when its words cannot be kept."""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import Any

import pytest

from ironforge import Forge
from ironforge.context import Context
from ironforge.job import DEFAULT_TIMEOUT_S, Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.worker import crew as crew_module
from ironforge.worker import run as under_test
from ironforge.worker.crew import Crew, CrewOptions
from ironforge.worker.deadlines import Deadlines
from ironforge.worker.processes import ProcessPool
from ironforge.worker.run import Run, Runner
from tests.system.bench import ended
from tests.waiting import eventually
from tests.worker.test_crew import serving

forge = Forge()


@forge.task("own.limit", timeout_s=7)
async def own_limit() -> str:
    return "done"


@forge.task("no.limit")
async def no_limit() -> None: ...


def _runner() -> Runner:
    return Runner(forge.tasks, None, ProcessPool())  # type: ignore[arg-type]


def _run(kind: str = "own.limit", payload: bytes = b"{}", **fields: Any) -> Run:
    job = Job("j", kind, "default", JobStatus.RUNNING, payload, fence="1:t", **fields)
    return Run(job, 1, 10.0, 1.0, lambda run: Context(run.job))


@pytest.mark.parametrize(
    ("kind", "timeout_s", "limit_s"),
    [
        ("own.limit", 3.0, 3.0),
        ("own.limit", None, 7.0),
        ("no.limit", None, DEFAULT_TIMEOUT_S),
        ("nobody.knows", None, DEFAULT_TIMEOUT_S),
    ],
)
def test_the_limit_is_the_jobs_else_the_tasks_else_the_default(
    kind: str, timeout_s: float | None, limit_s: float
) -> None:
    assert _runner().limit_s(Job("j", kind, "q", JobStatus.RUNNING, timeout_s=timeout_s)) == limit_s


async def test_a_stored_payload_that_is_no_json_fails_the_job() -> None:
    settlement = await _runner().run(_run(payload=b"{never closed"))
    assert settlement.outcome in ("retry", "dead") and settlement.error_json
    assert json.loads(settlement.error_json)["type"] == "InvalidPayload"


async def test_a_result_that_cannot_even_be_replaced_by_words_fails_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(under_test, "result_json", broken)
    assert (await _runner().run(_run())).outcome == "retry"


def test_a_context_made_after_the_cancel_knows_of_it() -> None:
    run = _run()
    run.ask_to_stop("cancelled")
    assert run.context.cancelled


def test_the_first_reason_to_stop_stays() -> None:
    """A worker that leaves asks everything that runs: what a person cancelled is cancelled, not released."""
    run = _run()
    run.ask_to_stop("cancelled")
    run.ask_to_stop("released")
    assert run.stopping == "cancelled"


async def test_a_run_that_ended_is_not_given_up() -> None:
    """It may end between the list of all runs and its turn in it."""
    run, given_up = _run(), list[Run]()
    run.ask_to_stop("cancelled")
    run.ended, run.look_at = True, time.monotonic() - 1
    looking = Deadlines(lambda: [run], given_up.append)
    looking._look()  # pyright: ignore[reportPrivateUsage]
    looking.stop()
    assert given_up == []


async def test_a_run_is_given_up_once_and_not_before_its_grace_is_over() -> None:
    run, given_up = _run(), list[Run]()
    run.grace_s = 0.3
    run.ask_to_stop("cancelled")
    asked = time.monotonic()
    looking = Deadlines(lambda: [run], given_up.append)
    looking.watch(run.look_at)
    await eventually(lambda: given_up, 5)
    assert time.monotonic() - asked >= 0.29
    looking._look()  # pyright: ignore[reportPrivateUsage]
    looking.stop()
    assert given_up == [run] and run.look_at == math.inf


@pytest.mark.parametrize("why", ["cancel", "limit"])
async def test_a_handler_gets_its_grace_to_tidy_up(
    queue: RedisQueue, redis_url: str, namespace: str, why: str
) -> None:
    own = Forge(redis_url, namespace=namespace)
    begun, tidied = asyncio.Event(), asyncio.Event()

    @own.task("tidies")
    async def tidies() -> None:  # pyright: ignore[reportUnusedFunction]
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=0.4)
            tidied.set()

    async with serving(queue, own, grace_s=10) as (crew, _):
        limit_ms = 300 if why == "limit" else 60_000
        job = await queue.enqueue(NewJob("tidies", timeout_ms=limit_ms, max_retries=0))
        await asyncio.wait_for(begun.wait(), 5)
        if why == "cancel":
            await queue.cancel(job.id)
        (found,) = await ended(queue, [job], 8)
        assert tidied.is_set() and not crew.recycled
    assert found.status is (JobStatus.CANCELLED if why == "cancel" else JobStatus.DEAD)


def test_the_third_step_down_ends_the_process(
    queue: RedisQueue, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(crew_module.os, "_exit", codes.append)
    crew = Crew(queue, "w", Forge(redis_url).tasks, CrewOptions())
    crew.stop()
    crew.stop()
    assert codes == []
    crew.stop()
    assert codes == [1]


def test_being_asked_again_for_a_step_is_no_further_step(
    queue: RedisQueue, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor's word and a service manager's signal both ask to drain."""
    codes: list[int] = []
    monkeypatch.setattr(crew_module.os, "_exit", codes.append)
    crew = Crew(queue, "w", Forge(redis_url).tasks, CrewOptions())
    for _ in range(3):
        crew.stop(1)
    assert codes == [] and not crew._release_asked.is_set()  # pyright: ignore[reportPrivateUsage]


async def test_an_error_that_cannot_be_described_still_costs_an_attempt() -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError("even its words fail")

    run = _run(max_retries=1)
    settlement = _runner()._settle_failure(run, None, Hostile())  # pyright: ignore[reportPrivateUsage]
    assert settlement.outcome == "retry"


async def test_after_one_run_the_next_is_looked_at() -> None:
    """One timer serves all of them."""
    runs, given_up = [_run(), _run()], list[Run]()
    for run, grace_s in zip(runs, (0.02, 0.1), strict=True):
        run.grace_s = grace_s
        run.ask_to_stop("cancelled")
    looking = Deadlines(lambda: runs, given_up.append)
    looking.watch(runs[0].look_at)
    await eventually(lambda: len(given_up) == 2, 5)
    looking.stop()
