"""A line for each request, as long as there are few enough of them to be read."""

from __future__ import annotations

import logging
import time

from starlette.types import Scope

log = logging.getLogger("ironforge.access")

LINES_PER_S = 50


class AccessLog:
    """Tells of each answer; beyond 50 a second only of how many more, unless the level is debug."""

    def __init__(self) -> None:
        self._second = 0
        self._lines = 0
        self._more = 0

    def answered(self, scope: Scope, status: int) -> None:
        second = int(time.monotonic())
        if second != self._second:
            if self._more:
                log.info("and more requests", extra={"requests": self._more})
            self._second, self._lines, self._more = second, 0, 0
        self._lines += 1
        if self._lines > LINES_PER_S and not log.isEnabledFor(logging.DEBUG):
            self._more += 1
            return
        client = scope.get("client") or ("-", 0)
        log.info("%s %s", scope["method"], scope["path"], extra={"status": status, "client": client[0]})
