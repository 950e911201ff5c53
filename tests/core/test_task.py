from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from ironforge import Context, Forge, Job, Priority
from ironforge.errors import ConfigError, InvalidPayload
from ironforge.job import BackoffPolicy
from ironforge.task import JobHandler, TaskOptions


@pytest.fixture
def forge() -> Forge:
    return Forge()


def test_the_functions_name_is_the_kind_unless_one_is_given(forge: Forge) -> None:
    @forge.task
    def bare() -> None: ...

    @forge.task()
    def called() -> None: ...

    @forge.task("mail.send")
    def named() -> None: ...

    assert [task.kind for task in forge.tasks] == ["bare", "called", "mail.send"]
    assert (
        len(forge.tasks) == 3 and forge.tasks.get("mail.send") is named and forge.tasks.get("named") is None
    )


def test_options_are_defaults_and_told_to_workers(forge: Forge) -> None:
    @forge.task("a", queue="mail", max_retries=7, timeout_s=1.5, priority="high", process=True)
    def a(n: int) -> None: ...

    assert a.defaults == TaskOptions("mail", Priority.HIGH, 7, 1.5, BackoffPolicy(), process=True)
    about = forge.tasks.about()["a"]
    assert (about["timeout_s"], about["max_retries"], about["process"]) == (1.5, 7, True)
    assert about["schema"]["required"] == ["n"]


@pytest.mark.parametrize("options", [{"priority": "urgent"}, {"timeout": 3}])
def test_options_that_do_not_exist(forge: Forge, options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        forge.task("a", **options)(lambda: None)


def test_a_task_stays_what_it_was(forge: Forge) -> None:
    @forge.task("double")
    async def double(ctx: Context, n: int) -> int:
        """Twice."""
        assert ctx.job.kind == "double" and ctx.retry_count == 0 and not ctx.cancelled
        await ctx.progress(0.5, "half")
        return 2 * n

    assert asyncio.run(double(4)) == 8
    assert (double.__doc__, double.__name__, double.is_async) == ("Twice.", "double", True)


def test_a_context_may_be_given_by_a_test(forge: Forge) -> None:
    @forge.task
    def seen(ctx: Context) -> str:
        return ctx.job.id

    from ironforge.job import JobStatus

    assert seen(Context(Job("mine", "seen", "default", JobStatus.RUNNING))) == "mine"


def test_progress_is_bounded_and_may_be_an_object() -> None:
    from ironforge.job import JobStatus

    told: list[str] = []
    ctx = Context(Job("j", "k", "q", JobStatus.RUNNING), report=told.append)
    ctx.progress(7)
    ctx.progress(-1, "x" * 500)
    ctx.progress({"rows": 3}, "so far")
    assert told[0] == '{"fraction": 1.0}'
    assert told[1] == '{"fraction": 0.0, "message": "%s"}' % ("x" * 200)
    assert told[2] == '{"rows": 3, "message": "so far"}'


async def test_a_call_that_does_not_fit_is_refused_before_anything_is_sent(forge: Forge) -> None:
    @forge.task
    async def greet(name: str) -> None: ...

    with pytest.raises(InvalidPayload, match="greet"):
        await greet.enqueue()  # type: ignore[call-arg]
    with pytest.raises(InvalidPayload, match="/name"):
        await greet.options(priority=Priority.HIGH).enqueue(3)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="not connected"):
        _ = forge.queue


def test_a_wrapped_coroutine_function_is_still_one(forge: Forge) -> None:
    async def inner(n: int) -> int:
        return n

    @functools.wraps(inner)
    async def wrapper(*args: Any, **kwargs: Any) -> int:
        return await inner(*args, **kwargs)

    task = forge.task("wrapped")(wrapper)
    assert task.is_async and task.signature.arguments({"n": 1}) == {"n": 1}


class Everything:
    async def handle(self, job: Job) -> str:
        return job.kind


def test_one_object_serves_all_other_kinds_and_there_is_one(forge: Forge) -> None:
    assert isinstance(Everything(), JobHandler)
    forge.handler(Everything())
    with pytest.raises(ConfigError, match="already"):
        forge.handler(Everything())


def test_what_cannot_handle_is_refused_at_once(forge: Forge) -> None:
    with pytest.raises(ConfigError, match="async def handle"):
        forge.handler(object())  # type: ignore[arg-type]

    class Sync:
        def handle(self, job: Job) -> None: ...

    with pytest.raises(ConfigError, match="async def handle"):
        forge.handler(Sync())  # type: ignore[arg-type]
