"""One run of one job, from its claim to what has to be settled: one task, in which the handler runs."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, Literal

from ironforge.context import Context
from ironforge.errors import InvalidPayload
from ironforge.job import DEFAULT_TIMEOUT_S, BackoffPolicy, Job
from ironforge.outcome import (
    Bury,
    RetryIn,
    TimeLimitExceeded,
    UnknownKind,
    after_unknown_kind,
    describe,
    fingerprint,
)
from ironforge.queue.readings import Settlement
from ironforge.task import Task, TaskRegistry
from ironforge.worker.failure import settle_failure, settle_newer
from ironforge.worker.processes import ProcessPool, StoredResult
from ironforge.worker.results import result_json
from ironforge.worker.spawned import Spawned, collect

log = logging.getLogger("ironforge.worker")

GRACE_S = 5.0


class Run:
    """A job in a slot.

    Attributes:
        look_at: `time.monotonic()` when somebody has to look at it next: its time limit is over, or the grace after
            its handler was cancelled.
        stopping: why its handler was asked to end, by a person or by a worker that leaves.
        late: set when its time limit was over before it ended.
        begun: its task runs; before that it cannot be cancelled without losing track of it.
        ended: it was settled, by what its handler said or without it.
        stuck: its handler outlived limit, cancellation and grace; it was settled without it.
    """

    __slots__ = (
        "_context", "_make_context", "began", "begun", "ended", "grace_s", "job", "late", "limit_s", "look_at", "slot", "spawned",
        "stopping", "stuck", "task",
    )  # fmt: skip

    def __init__(
        self, job: Job, slot: int, limit_s: float, grace_s: float, make_context: Callable[[Run], Context]
    ) -> None:
        self.job = job
        self.slot = slot
        self.limit_s = limit_s
        self.grace_s = grace_s
        self.began = time.monotonic()
        self.look_at = self.began + limit_s
        self.task: asyncio.Task[Any] | None = None
        self.stopping: Literal["cancelled", "released"] | None = None
        self.late: TimeLimitExceeded | None = None
        self.begun = False
        self.ended = False
        self.stuck = False
        self.spawned: Spawned = set()
        self._context: Context | None = None
        self._make_context = make_context

    @property
    def context(self) -> Context:
        """Made when it is asked for: most handlers do not."""
        if self._context is None:
            self._context = self._make_context(self)
            if self.interrupted:
                self._context.request_cancel()
        return self._context

    @property
    def interrupted(self) -> bool:
        return self.stopping is not None or self.late is not None

    @property
    def obeyed(self) -> bool:
        """Whether the handler saw that it should stop."""
        return self._context is not None and self._context.noticed_cancel

    def ask_to_stop(self, why: Literal["cancelled", "released"]) -> None:
        """Cancels the handler: because a person asked, or because this worker is going."""
        if self.stopping is None:
            self.stopping = why
            self._interrupt()

    def time_is_up(self) -> None:
        """Its limit is over: cancels the handler, and notes where it waited."""
        assert self.task
        self.late = _time_is_up(self.limit_s, self.task)
        self._interrupt()

    def _interrupt(self) -> None:
        if self._context is not None:
            self._context.request_cancel()
        self.look_at = time.monotonic() + self.grace_s
        if (
            self.task is not None and self.begun and not self.ended
        ):  # one that has not begun looks before it does
            self.task.cancel()


class Runner:
    """Knows how to call each kind of handler; holds the threads and processes they run in."""

    def __init__(self, tasks: TaskRegistry, threads: Executor, processes: ProcessPool) -> None:
        self._tasks = tasks
        self._threads = threads
        self._processes = processes
        self._rng = random.Random()

    def limit_s(self, job: Job) -> float:
        """The job's own time limit, else its task's, else the default."""
        if job.timeout_s:
            return job.timeout_s
        task = self._tasks.get(job.kind)
        return (task.defaults.timeout_s if task else None) or DEFAULT_TIMEOUT_S

    async def run(self, run: Run) -> Settlement:
        """Runs the handler in the current task and says how it ended. Whatever the handler raises is no error here."""
        job = run.job
        if job.is_newer:
            return settle_newer(job)
        task = self._tasks.get(job.kind)
        if task is None and self._tasks.catch_all is None:
            return _unknown(job)
        run.begun = True
        if run.interrupted:
            return self.without_result(run)
        collect(run.spawned)
        try:
            result = await self._call(run, task)
        except BaseException as error:  # also what asyncio lets pass to end the process
            return self._failed(run, task, error)
        if run.interrupted and (run.late or run.obeyed):
            return self.without_result(run)
        try:
            stored = result if isinstance(result, StoredResult) else result_json(result, _about(job))
        except BaseException as error:  # ours: the job must not stay running for ever because of it
            log.exception("a run could not be settled as it ended", extra=_about(job))
            return settle_failure(job, error, BackoffPolicy(), self._rng)
        return Settlement(job.id, job.fence, "completed", stored)

    def without_result(self, run: Run) -> Settlement:
        """For a run that was interrupted, whatever its handler says, or does not say."""
        if run.stopping:
            return Settlement(run.job.id, run.job.fence, run.stopping)
        assert run.late
        return self._settle_failure(run, self._tasks.get(run.job.kind), run.late)

    def _failed(self, run: Run, task: Task[..., Any] | None, error: BaseException) -> Settlement:
        if run.interrupted:
            return self.without_result(run)
        what = type(error)  # isinstance asks the error itself, which may fail
        if issubclass(what, asyncio.CancelledError):
            error = RuntimeError("the handler cancelled itself")
        elif not issubclass(what, Exception):
            caught, error = error, RuntimeError(f"the handler raised {type(error).__name__}")
            error.__cause__ = caught
        return self._settle_failure(run, task, error)

    def _settle_failure(self, run: Run, task: Task[..., Any] | None, error: BaseException) -> Settlement:
        policy = task.defaults.backoff if task else BackoffPolicy()
        try:
            return settle_failure(run.job, error, policy, self._rng)
        except BaseException as broken:  # what the error's own methods raise
            # No traceback: it would ask the error again.
            log.error("an error cannot be described (%s)", type(broken).__name__, extra=_about(run.job))
            return settle_failure(run.job, RuntimeError(type(broken).__name__), policy, self._rng)

    async def _call(self, run: Run, task: Task[..., Any] | None) -> Any:
        if task is None:
            assert self._tasks.catch_all
            return await self._tasks.catch_all.handle(run.job)
        try:
            payload: dict[str, Any] = run.job.payload
        except ValueError as error:
            raise InvalidPayload(f"the stored payload is not JSON: {error}") from None
        if task.defaults.process:
            return await self._processes.run(task, run.job, run.context)
        arguments = task.signature.arguments(payload)
        positional = (run.context,) if task.signature.takes_context else ()
        if task.is_async:
            return await task.function(*positional, **arguments)
        result = await self._in_thread(partial(task.function, *positional, **arguments))
        # A plain function that returns a coroutine: an `async def` inside a decorator that is none.
        return await result if inspect.isawaitable(result) else result

    async def _in_thread(self, function: Callable[[], Any]) -> Any:
        """Ends when the thread does, also when cancelled: nobody can end a thread, and until then its slot is taken."""
        scope = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._threads, lambda: scope.run(_no_stop, function))
        while not running.done():
            try:
                await asyncio.wait({running})
            except asyncio.CancelledError:
                continue
        return running.result()


def _about(job: Job) -> dict[str, str]:
    return {"job_id": job.id, "kind": job.kind}


def _unknown(job: Job) -> Settlement:
    """No handler here: perhaps on another worker, or after the next deploy. Not charged, dead only after a grace."""
    error = UnknownKind(f"no worker of this queue knows the kind {job.kind!r}")
    described = describe(error)
    match after_unknown_kind(job):
        case RetryIn(delay_ms):
            log.warning("unknown kind; released for %.0f s", delay_ms / 1000, extra=_about(job))
            return Settlement(job.id, job.fence, "released", None, described.to_json(), delay_ms)
        case Bury(reason):
            log.error("dead (%s)", reason, extra=_about(job))
            mark = fingerprint(job.kind, error, described)
            return Settlement(job.id, job.fence, "dead", None, described.to_json(), 0, mark, reason)


def _no_stop(function: Callable[[], Any]) -> Any:
    """A future cannot hold a StopIteration: it would never be done."""
    try:
        return function()
    except StopIteration as error:
        raise RuntimeError("the handler raised StopIteration") from error


def _time_is_up(limit_s: float, handler: asyncio.Task[Any]) -> TimeLimitExceeded:
    """With a note of where the handler waited: its traceback cannot tell, nothing was raised there."""
    error = TimeLimitExceeded(limit_s)
    at: Any = handler.get_coro()
    frames: list[str] = []
    while at is not None and len(frames) < 50:
        if frame := getattr(at, "cr_frame", None):
            frames.append(f"  {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        at = getattr(at, "cr_await", None)
    users = [line for line in frames if "/ironforge/worker/" not in line]
    if users:
        error.add_note("when its time was up it waited at\n" + "\n".join(users))
    return error
