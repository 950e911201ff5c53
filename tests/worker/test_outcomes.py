"""What a run is settled with, whatever its handler says once somebody asked it to stop; and when its handler is not called."""

from __future__ import annotations

import asyncio
import json

import pytest

from ironforge import Forge
from ironforge.context import Context
from ironforge.job import FORMAT, Job, JobStatus
from ironforge.outcome import TimeLimitExceeded
from ironforge.worker.processes import ProcessPool
from ironforge.worker.run import Run, Runner

forge = Forge()
calls: list[str] = []


@forge.task("returns")
async def returns(ctx: Context) -> str:
    calls.append("returns")
    return f"cancelled {ctx.cancelled}"


@forge.task("ignores")
async def ignores() -> str:
    return "it never looked"


@forge.task("raises")
async def raises(what: str) -> None:
    raise {"error": ValueError("no"), "cancel": asyncio.CancelledError(), "exit": KeyboardInterrupt()}[what]


def _run(kind: str, payload: bytes = b"{}", form: int = FORMAT) -> Run:
    calls.clear()
    job = Job("j", kind, "default", JobStatus.RUNNING, payload, fence="1:t", format=form)
    return Run(job, 1, 10.0, 1.0, lambda run: Context(run.job))


def _runner() -> Runner:
    return Runner(forge.tasks, None, ProcessPool())  # type: ignore[arg-type]


def _stop_soon(run: Run, late: bool = False) -> None:
    """As from the outside, once it began."""
    run.begun = True
    if late:
        run.late = TimeLimitExceeded(1.0)
    else:
        run.stopping = "cancelled"


async def test_a_job_in_a_newer_form_is_not_run() -> None:
    settlement = await _runner().run(_run("returns", form=FORMAT + 1))
    assert settlement.outcome == "released" and settlement.delay_ms > 0 and calls == []


async def test_an_unknown_kind_is_released_not_failed() -> None:
    settlement = await _runner().run(_run("nobody.knows"))
    assert settlement.outcome == "released" and settlement.error_json
    assert json.loads(settlement.error_json)["type"] == "UnknownKind"


async def test_one_that_was_asked_to_stop_before_it_began_is_not_called() -> None:
    run = _run("returns")
    run.ask_to_stop("released")
    assert (await _runner().run(run)).outcome == "released" and calls == []


@pytest.mark.parametrize(
    ("kind", "late", "outcome"),
    [("returns", False, "cancelled"), ("ignores", False, "completed"), ("ignores", True, "retry")],
)
async def test_a_result_after_the_stop_counts_only_if_nobody_obeyed_it_in_time(
    kind: str, late: bool, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, runner = _run(kind), _runner()
    call = runner._call  # pyright: ignore[reportPrivateUsage]

    async def stopped_meanwhile(*arguments: object) -> object:
        _stop_soon(run, late)
        return await call(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "_call", stopped_meanwhile)
    assert (await runner.run(run)).outcome == outcome


async def test_whatever_it_raises_after_a_cancel_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    run, runner = _run("raises", b'{"what":"error"}'), _runner()
    call = runner._call  # pyright: ignore[reportPrivateUsage]

    async def stopped_meanwhile(*arguments: object) -> object:
        _stop_soon(run)
        return await call(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "_call", stopped_meanwhile)
    assert (await runner.run(run)).outcome == "cancelled"


@pytest.mark.parametrize(
    ("what", "words"),
    [("cancel", "the handler cancelled itself"), ("exit", "the handler raised KeyboardInterrupt")],
)
async def test_what_would_end_the_process_is_a_failed_attempt(what: str, words: str) -> None:
    settlement = await _runner().run(_run("raises", f'{{"what":"{what}"}}'.encode()))
    assert settlement.outcome == "retry" and settlement.error_json
    assert json.loads(settlement.error_json)["message"] == words


async def test_only_a_handler_that_runs_is_cancelled() -> None:
    """A task that is cancelled before it began, or after it ended, would never be settled, or twice."""
    for begun, ended, cancelled in ((False, False, False), (True, True, False), (True, False, True)):
        run = _run("returns")
        run.task = asyncio.create_task(asyncio.Event().wait())
        run.begun, run.ended = begun, ended
        run.ask_to_stop("cancelled")
        assert (run.task.cancelling() > 0) is cancelled
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)


def test_a_context_that_is_there_hears_of_the_stop() -> None:
    run = _run("returns")
    assert not run.context.cancelled
    run.ask_to_stop("cancelled")
    assert run.context.cancelled and run.obeyed
