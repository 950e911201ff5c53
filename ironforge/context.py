"""What a handler can know and do about the job it runs."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ironforge.errors import StoreUnavailable
from ironforge.job import Job

if TYPE_CHECKING:
    from ironforge.queue.backend import RedisQueue

log = logging.getLogger("ironforge.job")
_LOCK_POLL_S = (0.05, 1.0)


class LockLost(Exception):
    """A lock ended while its holder still worked under it."""


class Context:
    """Given to a handler whose first parameter is annotated with it. Safe to use from a handler's thread.

    Attributes:
        job: the job as it was claimed.
        log: a logger whose records carry the job's id and kind.
    """

    def __init__(
        self, job: Job, queue: RedisQueue | None = None, report: Callable[[str], None] | None = None
    ) -> None:
        self.job = job
        self.log = logging.LoggerAdapter(log, {"job_id": job.id, "kind": job.kind})
        self.noticed_cancel = False
        self._queue = queue
        self._report = report
        self._cancel = threading.Event()

    @property
    def retry_count(self) -> int:
        """Retries spent before this attempt: 0 on the first."""
        return self.job.retry_count

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to cancel this job, or its time is up. A handler that sees it should return."""
        if self._cancel.is_set():
            self.noticed_cancel = True
            return True
        return False

    def request_cancel(self) -> None:
        """For the worker: makes `cancelled` true."""
        self._cancel.set()

    def progress(self, value: float | Mapping[str, Any], message: str = "") -> Told:
        """Says how far the job is: a fraction 0..1, or any JSON object. Shown by the console; may be awaited or not."""
        told: Any = (
            dict(value) if isinstance(value, Mapping) else {"fraction": max(0.0, min(1.0, float(value)))}
        )
        if message:
            told["message"] = message[:200]
        if self._report:
            self._report(json.dumps(told, default=str))
        return Told()

    @asynccontextmanager
    async def lock(self, name: str, *, ttl_s: float = 30.0) -> AsyncGenerator[None]:
        """Holds a lock that one job in the whole namespace can hold; waits for it, however long; renews it while held.

        When the lock is lost all the same (Redis away for longer than `ttl_s`), the body is cancelled.

        Raises:
            LockLost: the body was cancelled for that reason.
            ValueError: `ttl_s` is below 0.1 s.
        """
        if self._queue is None:
            raise RuntimeError("locks need the worker's loop: they are not there in process handlers")
        if ttl_s < 0.1:
            raise ValueError("ttl_s must be at least 0.1 s")
        token, ttl_ms = secrets.token_hex(8), round(ttl_s * 1000)
        await self._acquire(self._queue, name, token, ttl_ms)
        body = asyncio.current_task()
        assert body
        keeper = asyncio.create_task(self._keep(name, token, ttl_s, body))
        try:
            yield
        except asyncio.CancelledError:
            lost = keeper.done() and not keeper.cancelled()
            if lost and body.uncancel() == 0:  # nobody else asked it to end
                raise LockLost(f"lock {name!r} was lost while it was held") from None
            raise
        finally:
            keeper.cancel()
            try:
                await self._queue.lock_release(name, token)
            except StoreUnavailable:
                self.log.warning("lock %s could not be released; it ends by itself within %g s", name, ttl_s)

    async def _acquire(self, queue: RedisQueue, name: str, token: str, ttl_ms: int) -> None:
        wait_s, longest_s = _LOCK_POLL_S
        while True:
            try:
                if await queue.lock_acquire(name, token, ttl_ms):
                    return
            except StoreUnavailable:  # no reason to fail: the job would only be tried again
                self.log.debug("lock %s waits for Redis", name)
            await asyncio.sleep(wait_s)
            wait_s = min(longest_s, wait_s * 1.5)

    async def _keep(self, name: str, token: str, ttl_s: float, body: asyncio.Task[Any]) -> None:
        assert self._queue
        loop = asyncio.get_running_loop()
        held_until = loop.time() + ttl_s
        while loop.time() < held_until:
            await asyncio.sleep(ttl_s / 3)
            asked = loop.time()
            try:
                if not await self._queue.lock_renew(name, token, round(ttl_s * 1000)):
                    break
                held_until = asked + ttl_s
            except StoreUnavailable as away:  # try again while the lock lasts
                self.log.warning("lock %s could not be renewed: %s", name, away)
        self.log.error("lock %s was lost", name)
        body.cancel(f"lock {name} was lost")


class Told:
    """The answer of `Context.progress`: it may be awaited, for those who write `await ctx.progress(…)`."""

    def __await__(self) -> Generator[None, None, None]:
        return iter(())  # type: ignore[return-value]
