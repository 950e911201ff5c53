"""Worker: runs jobs inside one's own program. `ironforge worker` is the way to run them apart from it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence

import ironforge
from ironforge import logs
from ironforge.errors import ConfigError
from ironforge.forge import Forge
from ironforge.queue.readings import WorkerInfo
from ironforge.task import JobHandler
from ironforge.worker.child import asyncio_run, connect_patiently
from ironforge.worker.crew import Crew, CrewOptions
from ironforge.worker.keeper import Keeper
from ironforge.worker.supervisor import worker_id


class Worker:
    """One worker in this process.

    Args:
        forge: its tasks are run.
        handler: an object with `async def handle(self, job)` for every kind that has no task.
        concurrency: jobs at once.
        queues: most wanted first.
        shutdown_timeout_s: at a stop, running jobs may finish for so long; then they are released, uncharged.
    """

    def __init__(
        self,
        forge: Forge,
        *,
        handler: JobHandler | None = None,
        concurrency: int = 10,
        queues: Sequence[str] = ("default",),
        shutdown_timeout_s: float = 25.0,
    ) -> None:
        if concurrency < 1:
            raise ConfigError("concurrency must be at least 1")
        if not queues:
            raise ConfigError("name at least one queue")
        if handler is not None:
            forge.handler(handler)
        self._forge = forge
        self._options = CrewOptions(concurrency, tuple(queues), shutdown_timeout_s)
        self._crew: Crew | None = None
        self._stopped = False

    def run(self) -> None:
        """Runs until SIGTERM or SIGINT. A second signal releases what runs, a third ends the process.

        Logging is set up as `ironforge worker` does, unless the program did it already.
        """
        if not logging.root.handlers:
            logs.configure(self._forge.settings.log, self._forge.settings.log_format)
        asyncio_run(self._run_until_signal())

    async def serve(self) -> None:
        """Runs until `stop` is called, in the loop of the caller. Raises LeaseLost."""
        await connect_patiently(self._forge)
        queue, settings = self._forge.queue, self._forge.settings
        wid = worker_id(os.getpid())
        info = WorkerInfo(
            socket.gethostname(), os.getpid(), os.getpid(), ironforge.__version__, self._options.queues,
            self._options.concurrency, self._forge.tasks.about(),
        )  # fmt: skip
        await queue.register(wid, info)
        keeper = Keeper(queue.url, settings, wid)
        self._crew = Crew(queue, wid, self._forge.tasks, self._options)
        if self._stopped:
            self._crew.stop()
        try:
            await self._crew.serve()
            await queue.deregister(wid)
        finally:
            await queue.hand_back(wid, "ended", {})
            await asyncio.to_thread(keeper.goodbye)
            self._crew = None

    def stop(self) -> None:
        """A step down the ladder: drain; again: release; again: end the process."""
        self._stopped = True
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
