"""One run of one job, from its claim to what has to be settled."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
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
from ironforge.worker.failure import settle_failure
from ironforge.worker.processes import ProcessCrashed, ProcessPool, StoredResult
from ironforge.worker.results import result_json
from ironforge.worker.spawned import Spawned, collect, end_spawned

log = logging.getLogger("ironforge.worker")

GRACE_S = 5.0


@dataclass(slots=True)
class Run:
    """A job in a slot. `stuck` once its handler outlived limit, cancellation and grace."""

    job: Job
    slot: int
    context: Context
    limit_s: float = math.inf
    began: float = field(default_factory=time.monotonic)
    stopping: Literal["cancelled", "released"] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    stuck: bool = False
    spawned: Spawned = field(default_factory=Spawned)

    def ask_to_stop(self, why: Literal["cancelled", "released"]) -> None:
        """Cancels the handler: because a person asked, or because this worker is going."""
        if self.stopping is None:
            self.stopping = why
            self.context.request_cancel()
            self.stop.set()


class Runner:
    """Knows how to call each kind of handler; holds the threads and processes they run in."""

    def __init__(
        self, tasks: TaskRegistry, threads: Executor, processes: ProcessPool, grace_s: float = GRACE_S
    ) -> None:
        """`grace_s`: between cancelling a handler and giving its slot up as stuck."""
        self._tasks = tasks
        self._threads = threads
        self._processes = processes
        self._grace_s = grace_s
        self._rng = random.Random()

    def limit_s(self, job: Job) -> float:
        """The job's own time limit, else its task's, else the default."""
        task = self._tasks.get(job.kind)
        return job.timeout_s or (task.defaults.timeout_s if task else None) or DEFAULT_TIMEOUT_S

    async def run(self, run: Run) -> Settlement:
        """Runs the handler and says how it ended. A failing handler is not an error here."""
        try:
            return await self._run(run)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # ours: the job must not stay running for ever because of it
            log.exception("a run could not be settled as it ended", extra=_about(run.job))
            return settle_failure(run.job, error, BackoffPolicy(), self._rng)
        finally:
            within_s = 0.0 if run.stuck else self._grace_s
            if run.spawned and not await end_spawned(run.spawned, within_s, _about(run.job)):
                run.stuck = True

    async def _run(self, run: Run) -> Settlement:
        job = run.job
        task = self._tasks.get(job.kind)
        if task is None and self._tasks.catch_all is None:
            return _unknown(job)
        try:
            result = await self._within(run, _contained(self._call(run, task)))
        except Stopped:
            return _stopped(run)
        except Exception as error:
            policy = task.defaults.backoff if task else BackoffPolicy()
            return settle_failure(job, error, policy, self._rng)
        if run.context.noticed_cancel and run.stopping:
            return _stopped(run)
        stored = result if isinstance(result, StoredResult) else result_json(result, _about(job))
        return Settlement(job.id, job.fence, "completed", stored)

    async def _within(self, run: Run, call: Coroutine[Any, Any, Any]) -> Any:
        """The call's result. Never waits longer than limit + grace, also for a handler that swallows its cancellation.

        Raises:
            Stopped: it ended because it was asked to.
            TimeLimitExceeded: it ran longer than its limit.
        """
        # By its name the watchdog knows who blocks the loop.
        handler = asyncio.create_task(call, name=f"job {run.job.id}")
        stop = asyncio.ensure_future(run.stop.wait())
        try:
            await asyncio.wait({handler, stop}, timeout=run.limit_s, return_when=asyncio.FIRST_COMPLETED)
            if handler.done():
                return _outcome_of(handler, run)
            late = _time_is_up(run.limit_s, handler)
            run.context.request_cancel()
            handler.cancel()
            await asyncio.wait({handler}, timeout=self._grace_s)
            run.stuck = not handler.done()
            if run.stopping:
                if handler.done() and not handler.cancelled() and handler.exception() is None:
                    return handler.result()
                raise Stopped
            raise late
        finally:
            stop.cancel()
            handler.cancel()
            handler.add_done_callback(_forget)

    async def _call(self, run: Run, task: Task[..., Any] | None) -> Any:
        collect(run.spawned)
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


class Stopped(Exception):
    """The handler ended because it was asked to."""


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


def _stopped(run: Run) -> Settlement:
    assert run.stopping
    return Settlement(run.job.id, run.job.fence, run.stopping)


async def _contained(call: Awaitable[Any]) -> Any:
    """What asyncio lets pass to end the process, or to end nobody knows what, is an error like others in a handler."""
    try:
        return await call
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        raise RuntimeError(f"the handler raised {type(error).__name__}") from error


def _no_stop(function: Callable[[], Any]) -> Any:
    """A future cannot hold a StopIteration: it would never be done."""
    try:
        return function()
    except StopIteration as error:
        raise RuntimeError("the handler raised StopIteration") from error


def _outcome_of(handler: asyncio.Future[Any], run: Run) -> Any:
    if handler.cancelled():
        if run.stopping:
            raise Stopped
        raise RuntimeError("the handler cancelled itself")
    error = handler.exception()
    if isinstance(error, ProcessCrashed) and run.stopping:
        raise Stopped
    return handler.result()


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


def _forget(handler: asyncio.Future[Any]) -> None:
    """A stuck handler that ends after all: whatever it says comes too late, and nobody else will collect it."""
    if not handler.cancelled():
        handler.exception()
