"""How many lines a second a log may have, so that what happens thousands of times a second is told without being slowed."""

from __future__ import annotations

import logging
import time

LINES_PER_S = 50


class LineBudget:
    """Fifty lines a second; beyond that only how many more. Level debug has no limit.

    Args:
        log: where the sum is told, and whose level counts.
        words: of that sum, for example "and more jobs ended".
        name: of its number, for example "jobs".
    """

    def __init__(self, log: logging.Logger, words: str, name: str) -> None:
        self._log, self._words, self._name = log, words, name
        self._second = 0
        self._lines = 0
        self._more = 0

    def allows_one(self) -> bool:
        """Whether the line may be written; if not, it is counted."""
        second = int(time.monotonic())
        if second != self._second:
            self.sum_up()
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= LINES_PER_S or self._log.isEnabledFor(logging.DEBUG):
            return True
        self._more += 1
        return False

    def sum_up(self) -> None:
        """Tells of those that got no line."""
        if self._more:
            self._log.info(self._words, extra={self._name: self._more})
            self._more = 0
