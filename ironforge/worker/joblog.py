"""A line for each job that ended, as long as there are few enough of them to be read."""

from __future__ import annotations

import logging
import time

from ironforge.line_budget import LineBudget

log = logging.getLogger("ironforge.worker")


class JobLog:
    """Says what ended and how long it took. Failures are told where they are judged, each of them."""

    def __init__(self) -> None:
        self._budget = LineBudget(log, "and more jobs ended", "jobs")
        self.sum_up = self._budget.sum_up

    def ended(self, outcome: str, job_id: str, kind: str, began: float) -> None:
        """Args: `began` by `time.monotonic()`."""
        if self._budget.allows_one():
            ms = round((time.monotonic() - began) * 1000, 1)
            log.info(outcome, extra={"job_id": job_id, "kind": kind, "ms": ms})
