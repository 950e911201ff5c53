"""The supervisor: no user code. It holds its children's leases, sees them die, hands their jobs back, replaces them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import ironforge
from ironforge.errors import ConfigError, StoreUnavailable
from ironforge.forge import Forge
from ironforge.periodic import Outage, every
from ironforge.queue.readings import WorkerInfo
from ironforge.worker import control
from ironforge.worker.child import connect_patiently
from ironforge.worker.failure import fail_blocker
from ironforge.worker.run import GRACE_S
from ironforge.worker.started import Child, end_words

if TYPE_CHECKING:
    from ironforge.queue.backend import RedisQueue

log = logging.getLogger("ironforge.worker")

RENEW_S = 5.0
LOOK_S = 1.0
HANDSHAKE_S = 60.0
SHORT_LIFE_S = 5.0
LONGEST_PAUSE_S = 10.0
# After its own ladder a child that is still there is killed.
PATIENCE_S = 8.0
LAST_CALL_S = 0.4  # at a stop: a Redis that does not answer keeps nobody


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What `ironforge worker` was asked for."""

    target: str
    concurrency: int = 10
    processes: int = 1
    queues: tuple[str, ...] = ("default",)
    shutdown_timeout_s: float = 25.0
    grace_s: float = GRACE_S
    log: str = "info"
    log_format: str = "json"
    allow_unsafe: bool = False
    metrics_addr: str | None = None
    shards: int | None = None


class Supervisor:
    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._children: dict[str, Child] = {}
        self._signals = 0
        self._crashes = 0
        self._served = (
            False  # once a child was ready, a module that no longer loads is no reason to end the others
        )
        self._stopping = asyncio.Event()
        self._forge: Forge | None = None
        self._connecting = asyncio.Lock()
        self._last_crash: dict[str, Any] | None = None
        self._lives: set[asyncio.Task[None]] = set()
        self._waiters = ThreadPoolExecutor(options.processes * 4 + 4, thread_name_prefix="wait")

    async def run(self) -> int:
        """Until every child ended for good; the exit code. Raises ConfigError, StartupError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        stop_metrics = self._serve_metrics()
        background = [
            asyncio.create_task(every(self._renew_interval, self._renew, "renew")),
            asyncio.create_task(every(LOOK_S, self._look, "look")),
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._options.processes):
                    group.create_task(self._tend())
            await asyncio.gather(*self._lives, return_exceptions=True)
        except ExceptionGroup as errors:  # not except*: before Python 3.11.4 that wraps what is raised in it
            raise errors.exceptions[0] from None
        finally:
            self._stopping.set()
            for task in background:
                task.cancel()
            for child in self._children.values():
                child.end()
            await asyncio.gather(*self._lives, return_exceptions=True)
            if self._forge:
                await self._forge.aclose()
            self._waiters.shutdown(wait=False)
            stop_metrics()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # asked once more while it ends, it still ends with 0
        return 0

    # -- one place for a child ------------------------------------------------------------------------------------

    async def _tend(self) -> None:
        """Keeps one child alive until the supervisor stops. One that recycles itself is replaced before it ended."""
        short_lives = 0
        while not self._stopping.is_set():
            child = self._start()
            life = asyncio.create_task(self._live(child))
            self._lives.add(life)
            life.add_done_callback(self._lives.discard)
            if not await self._until_replaceable(child, life):
                continue
            life.result()
            # One that left jobs behind is limited by what these bear: its successor comes at once.
            short = time.monotonic() - child.born < SHORT_LIFE_S and not child.handed_back
            short_lives = short_lives + 1 if short else 0
            if short_lives > 1 and not self._stopping.is_set():
                await self._pause(min(LONGEST_PAUSE_S, 0.5 * 2 ** (short_lives - 2)))

    async def _until_replaceable(self, child: Child, life: asyncio.Task[None]) -> bool:
        """True when it ended; False when it only drains, as long as not too many do."""
        recycling = asyncio.create_task(child.replaceable.wait())
        try:
            await asyncio.wait({life, recycling}, return_when=asyncio.FIRST_COMPLETED)
            if not life.done() and len(self._lives) > 2 * self._options.processes:
                await asyncio.wait({life})
        finally:
            recycling.cancel()
        return life.done()

    async def _live(self, child: Child) -> None:
        """From its start to the hand-back of what it left."""
        try:
            if await self._introduce(child):
                code = await self._in_thread(child.wait)
                await self._after(child, code)
        finally:
            child.end()
            await self._in_thread(child.wait)
            self._children.pop(child.wid, None)
            child.forget()

    def _start(self) -> Child:
        options = self._options

        def order(control_fd: int, board_fd: int) -> control.ChildOrder:
            return control.ChildOrder(
                control_fd, board_fd, options.target, options.concurrency, options.queues, options.shutdown_timeout_s,
                options.grace_s, options.log, options.log_format,
            )  # fmt: skip

        child = Child.start(order, options.concurrency)
        self._children[child.wid] = child
        return child

    async def _introduce(self, child: Child) -> bool:
        """Hears what the child is, registers it, and lets it claim. False when it died before."""
        said = await self._in_thread(partial(self._hear, child))
        if self._stopping.is_set() or said is None:
            child.end()
            code = await self._in_thread(child.wait)
            if not self._stopping.is_set():
                log.error("a worker process ended (%s) before it was ready", end_words(code))
            return False
        if "error" in said:
            if not self._served:
                raise ConfigError(said["error"])
            log.error("a worker cannot be replaced: %s", said["error"])
            return False
        queue = await self._connect(said["hello"])
        if queue is None:
            return False
        info = WorkerInfo(
            socket.gethostname(), child.pid, os.getpid(), ironforge.__version__, self._options.queues,
            self._options.concurrency, said["hello"]["kinds"],
        )  # fmt: skip
        child.policies = said["hello"]["policies"]
        # Its id is random: one that is taken was given by this very call, whose answer was lost.
        child.registered = await self._insist(partial(queue.register, child.wid, info)) is not None
        if self._last_crash:
            await self._insist(partial(queue.beat, child.wid, {"last_crash": json.dumps(self._last_crash)}))
        with contextlib.suppress(OSError):  # it died meanwhile, or was ended by a stop, which is seen soon
            control.send(child.channel, {"go": child.wid})
        child.claims = self._served = True
        return True

    def _hear(self, child: Child) -> dict[str, Any] | None:
        child.channel.settimeout(HANDSHAKE_S)
        try:
            return control.receive(child.channel)
        except TimeoutError:
            log.error(
                "a worker process is not ready after %.0f s: its module takes too long to load", HANDSHAKE_S
            )
        except OSError:
            pass  # the child is gone
        finally:
            child.channel.settimeout(None)
        return None

    async def _after(self, child: Child, code: int) -> None:
        """Its jobs go back at once, with what is known of its death."""
        assert self._forge
        meant = child.ended_on_purpose(code, stopping=self._stopping.is_set())
        cause: Literal["crashed", "ended"] = "ended" if meant else "crashed"
        evidence = child.evidence(code)
        queue = self._forge.queue
        for blamed in child.blamed:
            await self._insist(partial(fail_blocker, queue, child.wid, blamed, child.stack, child.policies))
        child.handed_back = max(
            0, await self._insist(partial(queue.hand_back, child.wid, cause, evidence)) or 0
        )
        if not meant:
            self._crashes += 1
            self._last_crash = child.crash(code)
            log.error("a worker process died (%s); %d jobs were handed back", evidence["ended"], child.handed_back, extra={"worker": child.wid})  # fmt: skip

    # -- leases ---------------------------------------------------------------------------------------------------

    def _renew_interval(self) -> float:
        return RENEW_S

    async def _renew(self) -> None:
        held = [child for child in self._children.values() if child.registered]
        if not held or not self._forge:
            return
        words = await self._insist(partial(self._forge.queue.renew, *(child.wid for child in held)))
        for child, word in zip(held, words or [], strict=False):
            if word == "gone" and child.tied.process.poll() is None:
                log.error("the lease of a worker was taken; it is replaced", extra={"worker": child.wid})
                child.end()

    async def _look(self) -> None:
        """At memory, and at loops that do not turn."""
        for child in list(self._children.values()):
            if await child.look(self._options.grace_s):
                log.error("a worker is blocked past the time of its job; it is ended and replaced", extra={"worker": child.wid})  # fmt: skip
            elif self._forge and not child.ended_by_us and child.told_blocked != bool(child.blockage):
                blocked = child.blockage.to_json() if child.blockage else "null"
                await self._forge.queue.beat(child.wid, {"blocked": blocked})
                child.told_blocked = bool(child.blockage)  # else again at the next look

    # -- the way out ----------------------------------------------------------------------------------------------

    def _on_signal(self) -> None:
        self._signals += 1
        self._stopping.set()
        for child in self._children.values():
            child.stop(self._signals)
        loop = asyncio.get_running_loop()
        drain_s = self._options.shutdown_timeout_s if self._signals == 1 else 0
        loop.call_later(drain_s + PATIENCE_S, self._lose_patience)

    def _lose_patience(self) -> None:
        for child in self._children.values():
            child.end()

    def _serve_metrics(self) -> Callable[[], None]:
        if self._options.metrics_addr is None:
            return lambda: None
        from ironforge.worker.endpoint import serve_metrics

        def read() -> dict[str, float]:
            children = list(self._children.values())
            return {
                "children": sum(child.registered for child in children),
                "children_wanted": self._options.processes,
                "crashes": self._crashes,
                "rss_bytes": sum(child.rss_bytes for child in children),
            }

        return serve_metrics(self._options.metrics_addr, read)

    # -- small things -----------------------------------------------------------------------------------------------

    async def _connect(self, said: dict[str, Any]) -> RedisQueue | None:
        """None when asked to stop before Redis was there."""
        async with self._connecting:
            if self._forge is None:
                settings = control.settings_of(said)
                if self._options.shards is not None:
                    settings = replace(settings, shards=self._options.shards)
                forge = Forge(settings=settings)
                connecting = asyncio.create_task(
                    connect_patiently(forge, allow_unsafe=self._options.allow_unsafe)
                )
                if not await self._before_stop(connecting):
                    return None
                self._forge = forge
        return self._forge.queue

    async def _before_stop(self, work: asyncio.Task[None]) -> bool:
        """True when it is done, False when a stop came first; then it is given up."""
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return False
        work.result()
        return True

    async def _insist(self, call: Any) -> Any:
        """The call's answer, however long Redis is away; None when the supervisor stops meanwhile."""
        outage = Outage()
        while True:
            try:
                async with asyncio.timeout(LAST_CALL_S if self._stopping.is_set() else None):
                    answer = await call()
            except TimeoutError:
                return None
            except StoreUnavailable as away:
                if self._stopping.is_set():
                    return None
                await outage.wait(away)
            else:
                outage.over()
                return answer

    async def _in_thread(self, call: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._waiters, call)

    async def _pause(self, pause_s: float) -> None:
        log.warning("worker processes die soon after their start; the next starts in %.1f s", pause_s)
        try:
            await asyncio.wait_for(self._stopping.wait(), pause_s)
        except TimeoutError:
            pass
