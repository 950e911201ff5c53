"""Runs a program's main coroutine."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_S = 2.0


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, on uvloop where it is installed; and tasks that ignore their cancellation cannot keep it."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        from asyncio import new_event_loop
    # What was loaded so far stays for good: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    loop: asyncio.AbstractEventLoop = new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=PATIENCE_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()
