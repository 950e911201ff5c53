"""A line for each request, as long as there are few enough of them to be read."""

from __future__ import annotations

import logging

from starlette.types import Scope

from ironforge.line_budget import LineBudget

log = logging.getLogger("ironforge.access")


class AccessLog:
    """Tells of each answer."""

    def __init__(self) -> None:
        self._budget = LineBudget(log, "and more requests", "requests")

    def answered(self, scope: Scope, status: int) -> None:
        if self._budget.allows_one():
            client = scope.get("client") or ("-", 0)
            log.info("%s %s", scope["method"], scope["path"], extra={"status": status, "client": client[0]})
