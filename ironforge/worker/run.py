"""One run of one job, from its claim to what has to be settled."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import random
from collections.abc import Awaitable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Literal

from ironforge.context import Context
from ironforge.errors import InvalidPayload
from ironforge.job import DEFAULT_TIMEOUT_S, BackoffPolicy, Job
from ironforge.outcome import Bury, RetryIn, TimeLimitExceeded, decide, describe, fingerprint
from ironforge.queue.readings import Settlement
from ironforge.task import Task, TaskRegistry
from ironforge.worker.processes import ProcessCrashed, ProcessPool

log = logging.getLogger("ironforge.worker")

GRACE_S = 5.0  # between cancelling a handler and giving its slot up as stuck
UNKNOWN_DELAY_MS = 15_000
UNKNOWN_GRACE_MS = 3_600_000
MAX_RESULT_BYTES = 256 * 1024


@dataclass(slots=True)
class Run:
    """A job in a slot. `stuck` once its handler outlived limit, cancellation and grace."""

    job: Job
    slot: int
    context: Context
    stopping: Literal["cancelled", "released"] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    stuck: bool = False

    def ask_to_stop(self, why: Literal["cancelled", "released"]) -> None:
        """Cancels the handler: because a person asked, or because this worker is going."""
        if self.stopping is None:
            self.stopping = why
            self.context.request_cancel()
            self.stop.set()


class Runner:
    """Knows how to call each kind of handler; holds the threads and processes they run in."""

    def __init__(self, tasks: TaskRegistry, threads: Executor, processes: ProcessPool) -> None:
        self._tasks = tasks
        self._threads = threads
        self._processes = processes
        self._rng = random.Random()

    async def run(self, run: Run) -> Settlement:
        """Runs the handler and says how it ended. A failing handler is not an error here."""
        job = run.job
        task = self._tasks.get(job.kind)
        if task is None and self._tasks.catch_all is None:
            return self._unknown(job)
        limit_s = job.timeout_s or (task.defaults.timeout_s if task else None) or DEFAULT_TIMEOUT_S
        try:
            result = await self._within(run, _contained(self._call(run, task)), limit_s)
        except Stopped:
            return self._stopped(run)
        except Exception as error:
            return self._failed(run, error, task.defaults.backoff if task else BackoffPolicy())
        if run.context.noticed_cancel and run.stopping:
            return self._stopped(run)
        return Settlement(job.id, job.fence, "completed", _result_json(job, result))

    async def _within(self, run: Run, call: Awaitable[Any], limit_s: float) -> Any:
        """The call's result. Never waits longer than limit + grace, also for a handler that swallows its cancellation.

        Raises:
            Stopped: it ended because it was asked to.
            TimeLimitExceeded: it ran longer than its limit.
        """
        handler = asyncio.ensure_future(call)
        stop = asyncio.ensure_future(run.stop.wait())
        try:
            await asyncio.wait({handler, stop}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if handler.done():
                return _outcome_of(handler, run)
            run.context.request_cancel()
            handler.cancel()
            await asyncio.wait({handler}, timeout=GRACE_S)
            run.stuck = not handler.done()
            if run.stopping:
                if handler.done() and not handler.cancelled() and handler.exception() is None:
                    return handler.result()
                raise Stopped
            raise TimeLimitExceeded(f"ran longer than its limit of {limit_s:g} s")
        finally:
            stop.cancel()
            if not handler.done():
                handler.add_done_callback(_forget)

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
        scope = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: scope.run(task.function, *positional, **arguments)
        )

    def _failed(self, run: Run, error: Exception, policy: BackoffPolicy) -> Settlement:
        job, described = run.job, describe(error)
        fate = decide(job, error, policy, self._rng)
        mark = fingerprint(job.kind, error, described)
        about = {"job_id": job.id, "kind": job.kind, "error": f"{described.type}: {described.message[:200]}"}
        match fate:
            case RetryIn(delay_ms):
                log.warning("failed, retry %d/%d in %.1f s", job.retry_count + 1, job.max_retries, delay_ms / 1000, extra=about)  # fmt: skip
                return Settlement(
                    job.id,
                    job.fence,
                    "retry",
                    error_json=described.to_json(),
                    delay_ms=delay_ms,
                    fingerprint=mark,
                )
            case Bury(reason):
                log.error("dead (%s)", reason, extra=about)
                return Settlement(
                    job.id, job.fence, "dead", error_json=described.to_json(), fingerprint=mark, reason=reason
                )

    def _unknown(self, job: Job) -> Settlement:
        """No handler here: perhaps on another worker, or after the next deploy. Not charged, dead only after an hour."""
        error = LookupError(f"no worker of this queue knows the kind {job.kind!r}")
        described = describe(error)
        first_seen_ms = job.attempts[0].started_ms if job.attempts else job.started_ms or 0
        if (job.started_ms or 0) - first_seen_ms > UNKNOWN_GRACE_MS:
            return Settlement(
                job.id, job.fence, "dead", error_json=described.to_json(),
                fingerprint=fingerprint(job.kind, error, described), reason="unknown_kind",
            )  # fmt: skip
        log.warning(
            "unknown kind; released for %d s",
            UNKNOWN_DELAY_MS // 1000,
            extra={"job_id": job.id, "kind": job.kind},
        )
        return Settlement(
            job.id, job.fence, "released", error_json=described.to_json(), delay_ms=UNKNOWN_DELAY_MS
        )

    def _stopped(self, run: Run) -> Settlement:
        assert run.stopping
        return Settlement(run.job.id, run.job.fence, run.stopping)


class Stopped(Exception):
    """The handler ended because it was asked to."""


async def _contained(call: Awaitable[Any]) -> Any:
    """asyncio lets SystemExit and KeyboardInterrupt end the whole process: from a handler they are errors like others."""
    try:
        return await call
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the handler raised {type(error).__name__}") from error


def _outcome_of(handler: asyncio.Future[Any], run: Run) -> Any:
    if handler.cancelled():
        if run.stopping:
            raise Stopped
        raise RuntimeError("the handler cancelled itself")
    error = handler.exception()
    if isinstance(error, ProcessCrashed) and run.stopping:
        raise Stopped
    return handler.result()


def _forget(handler: asyncio.Future[Any]) -> None:
    """A stuck handler that ends after all: whatever it says comes too late, and nobody else will collect it."""
    if not handler.cancelled():
        handler.exception()


def _result_json(job: Job, result: Any) -> bytes | None:
    """The stored result; one that is not JSON, or too large, is replaced by words that say so."""
    if result is None:
        return None
    try:
        stored = json.dumps(result, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except Exception as error:
        about = {"job_id": job.id, "kind": job.kind}
        log.warning("the result is not JSON (%s); kept as text", type(error).__name__, extra=about)
        try:
            stored = json.dumps(repr(result)[:1000]).encode()
        except Exception:
            stored = b'"(a result that is not JSON)"'
    if len(stored) > MAX_RESULT_BYTES:
        return json.dumps(f"(a result of {len(stored):,} bytes was not kept)").encode()
    return stored
