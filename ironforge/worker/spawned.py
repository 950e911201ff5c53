"""Tasks that a handler starts: those that outlive its job are cancelled. Nobody would hear how they end, and they
would work for a job that others may run by then.

A task that is meant to live on is started with a context of its own: `asyncio.create_task(…, context=Context())`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

log = logging.getLogger("ironforge.worker")

Spawned = set[asyncio.Task[Any]]
_of_this_run: ContextVar[Spawned | None] = ContextVar("ironforge_spawned", default=None)


def collect(spawned: Spawned) -> None:
    """From here on whatever task the current one starts, and those start, is added, and leaves at its end."""
    _of_this_run.set(spawned)


def watch_tasks() -> Callable[[], None]:
    """Has the running loop tell of its tasks; gives the way to undo that. A task factory that is there stays in use."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    def make(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = before(loop, coro, **options) if before else asyncio.Task(coro, loop=loop, **options)
        context = options.get("context")
        spawned = _of_this_run.get() if context is None else context.get(_of_this_run)
        if spawned is not None:
            spawned.add(task)  # pyright: ignore[reportArgumentType]
            task.add_done_callback(spawned.discard)
        return task  # pyright: ignore[reportReturnType]

    def undo() -> None:
        if loop.get_task_factory() is make:
            loop.set_task_factory(before)

    loop.set_task_factory(make)
    return undo


async def end_spawned(spawned: Spawned, within_s: float, about: dict[str, str]) -> bool:
    """Cancels what a handler left. False when something of it does not end.

    Args:
        about: job_id and kind, for the log.
    """
    await asyncio.sleep(0)  # those that were cancelled already end now
    if left := [task.get_name() for task in spawned]:
        log.warning(
            "the handler left tasks behind, which are cancelled: await them, or give them a context of their own",
            extra={**about, "count": len(left), "tasks": ", ".join(left[:5])},
        )
    deadline = time.monotonic() + within_s
    while spawned:
        for task in spawned:  # also those that were started meanwhile
            task.cancel()
        done, _ = await asyncio.wait(list(spawned), timeout=max(0.0, deadline - time.monotonic()))
        for task in done:
            if not task.cancelled():
                task.exception()
        await asyncio.sleep(0)  # their callbacks
        if time.monotonic() >= deadline:
            break
    return not spawned
