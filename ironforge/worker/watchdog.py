"""Notices from a thread that the loop does not turn, and says which job keeps it and where."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable

from ironforge.periodic import every
from ironforge.worker.board import Board
from ironforge.worker.stacks import stack_of_frame

log = logging.getLogger("ironforge.worker")

TURN_S = 0.5
BLOCKED_S = 2.0


class Watchdog:
    """Of the loop it is started in.

    Args:
        board: where turns and blockages are written.
        slot_of: the slot of a task's name, None for a task that is no job's.
    """

    def __init__(self, board: Board, slot_of: Callable[[str], int | None]) -> None:
        self._board = board
        self._slot_of = slot_of
        self._turned_at = time.monotonic()
        self._stopped = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._turning = asyncio.create_task(every(TURN_S, self._turn, "turn"))
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self._turning.cancel()

    async def _turn(self) -> None:
        self._turned_at = time.monotonic()
        self._board.turned(self._turned_at)

    def _watch(self) -> None:
        told = False
        while not self._stopped.wait(TURN_S):
            since = self._turned_at
            blocked = time.monotonic() - since > BLOCKED_S
            if blocked and not told:
                self._tell(since)
            elif told and not blocked:
                self._board.unblocked()
                log.warning("the loop turns again")
            told = blocked

    def _tell(self, since: float) -> None:
        task = asyncio.current_task(self._loop)
        name = task.get_name() if task else "no task"
        # The only way to another thread's stack.
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        stack = stack_of_frame(frames.get(self._thread_id))
        self._board.blocked(since, self._slot_of(name), stack)
        log.warning(
            "the loop is blocked: nothing else of this process runs meanwhile; use def, process=True or await",
            extra={"by": name, "stack": stack},
        )
