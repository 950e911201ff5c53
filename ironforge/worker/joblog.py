"""A line for each job that ended, as long as there are few enough of them to be read."""

from __future__ import annotations

import logging
import time

log = logging.getLogger("ironforge.worker")

LINES_PER_S = 50


class JobLog:
    """Says what ended and how long it took; beyond 50 lines a second only how many more.

    Failures are told where they are judged, each of them. Level debug shows every job.
    """

    def __init__(self) -> None:
        self._second = 0
        self._lines = 0
        self._more = 0

    def ended(self, outcome: str, job_id: str, kind: str, began: float) -> None:
        """Args: `began` by `time.monotonic()`."""
        now = time.monotonic()
        second = int(now)
        if second != self._second:
            self.sum_up()
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > LINES_PER_S and not log.isEnabledFor(logging.DEBUG):
            self._more += 1
            return
        log.info(outcome, extra={"job_id": job_id, "kind": kind, "ms": round((now - began) * 1000, 1)})

    def sum_up(self) -> None:
        """Tells of those that got no line."""
        if self._more:
            log.info("and more jobs ended", extra={"jobs": self._more})
            self._more = 0
