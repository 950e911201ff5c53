"""Time limits of all runs of a worker, by one timer: a timer for each would cost more than many a job."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable

from ironforge.worker.run import Run


class Deadlines:
    """Interrupts runs whose limit is over, and gives those up that do not end within the grace after that.

    Args:
        runs: those that there are now.
        give_up: called with one that is stuck.
    """

    def __init__(self, runs: Callable[[], Iterable[Run]], give_up: Callable[[Run], None]) -> None:
        self._runs = runs
        self._give_up = give_up
        self._next = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, look_at: float) -> None:
        """Somebody is to be looked at, at this `time.monotonic()`."""
        if look_at < self._next:
            self._arm(look_at)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _arm(self, at: float) -> None:
        self.stop()
        self._next = at
        delay_s = max(0.0, at - time.monotonic())
        # A little later: the clocks of loops are coarser than this one.
        self._timer = asyncio.get_running_loop().call_later(delay_s + 0.001, self._look)

    def _look(self) -> None:
        self._next = math.inf
        now = time.monotonic()
        for run in list(self._runs()):
            if run.look_at <= now:
                self._judge(run)
        if upcoming := [run.look_at for run in self._runs() if not run.ended]:
            self._arm(min(upcoming))

    def _judge(self, run: Run) -> None:
        if run.ended:
            return
        if run.interrupted:
            run.look_at = math.inf
            self._give_up(run)
        else:
            run.time_is_up()
