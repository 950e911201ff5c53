"""Worker: runs jobs inside one's own program. `ironforge worker` is the way to run them apart from it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

import ironforge
from ironforge import logs
from ironforge.errors import ConfigError, LeaseLost, StoreUnavailable
from ironforge.forge import Forge
from ironforge.periodic import every, patiently
from ironforge.queue.readings import WorkerInfo
from ironforge.task import JobHandler
from ironforge.worker.board import Board
from ironforge.worker.child import connect_patiently
from ironforge.worker.crew import Crew, CrewOptions
from ironforge.worker.failure import policies_of
from ironforge.worker.keeper import LOOK_S, Keeper
from ironforge.worker.loops import run_loop
from ironforge.worker.processes import check_importable
from ironforge.worker.run import GRACE_S
from ironforge.worker.started import worker_id

log = logging.getLogger("ironforge.worker")


class Worker:
    """One worker in this process.

    Args:
        forge: its tasks are run.
        handler: an object with `async def handle(self, job)` for every kind that has no task.
        concurrency: jobs at once.
        queues: most wanted first.
        shutdown_timeout_s: at a stop, running jobs may finish for so long; then they are released, uncharged.
        grace_s: after its limit or a cancel, a handler has so long to end.
    """

    def __init__(
        self,
        forge: Forge,
        *,
        handler: JobHandler | None = None,
        concurrency: int = 10,
        queues: Sequence[str] = ("default",),
        shutdown_timeout_s: float = 25.0,
        grace_s: float = GRACE_S,
    ) -> None:
        if concurrency < 1:
            raise ConfigError("concurrency must be at least 1")
        if not queues:
            raise ConfigError("name at least one queue")
        if handler is not None:
            forge.handler(handler)
        self._forge = forge
        self._options = CrewOptions(concurrency, tuple(queues), shutdown_timeout_s, grace_s)
        self._crew: Crew | None = None
        self._stop_asked = asyncio.Event()

    def run(self) -> None:
        """Runs until SIGTERM or SIGINT. A second signal releases what runs, a third ends the process.

        Logging is set up as `ironforge worker` does, unless the program did it already.
        """
        if not logging.root.handlers:
            logs.configure(self._forge.settings.log, self._forge.settings.log_format)
        run_loop(self._run_until_signal())

    async def serve(self) -> None:
        """Runs until `stop` is called, in the loop of the caller; waits for a Redis that is away.

        Raises:
            ConfigError, StartupError: it cannot begin.
        """
        check_importable(self._forge.tasks)
        await self._unless_stopped(connect_patiently(self._forge))
        while not self._stop_asked.is_set():
            try:
                await self._serve_once()
            except LeaseLost as lost:
                log.error("%s; it goes on under a new name", lost)
            except StoreUnavailable as away:  # only at a stop
                log.warning(
                    "stopped while Redis was away (%s); what was not settled runs again elsewhere", away
                )

    async def _serve_once(self) -> None:
        """One registration, from its begin to its end."""
        queue, options = self._forge.queue, self._options
        wid = worker_id(os.getpid())
        info = WorkerInfo(
            socket.gethostname(), os.getpid(), os.getpid(), ironforge.__version__, options.queues,
            options.concurrency, self._forge.tasks.about(),
        )  # fmt: skip
        await self._unless_stopped(patiently(partial(queue.register, wid, info)))
        if self._stop_asked.is_set():
            return
        board = Board.make(options.concurrency)
        keeper = Keeper(queue, wid, board, options.grace_s, policies_of(self._forge.tasks))
        watching = asyncio.create_task(every(LOOK_S, keeper.look, "keeper"))
        crew = self._crew = Crew(queue, wid, self._forge.tasks, options, board)
        try:
            await crew.serve()
        finally:
            self._crew = None
            watching.cancel()
            await crew.abandon()
            await asyncio.to_thread(keeper.goodbye)
            board.let_go()
        if crew.recycled and not self._stop_asked.is_set():
            log.warning("a handler that does not end is left behind; the worker goes on under a new name")

    async def _unless_stopped(self, work: Coroutine[Any, Any, object]) -> None:
        """Until it is done, or a stop comes first."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stop_asked.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            task.cancel()
            stopping.cancel()
            await asyncio.gather(task, stopping, return_exceptions=True)

    def stop(self) -> None:
        """A step down the ladder: drain; again: release; again: end the process."""
        self._stop_asked.set()
        if self._crew:
            self._crew.stop()

    async def _run_until_signal(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            await self.serve()
        finally:
            await self._forge.aclose()
        return 0
