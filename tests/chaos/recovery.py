"""Processes and hosts that die, handlers that kill, block or do not end: how soon the jobs go on, and at whose cost."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from tests.chaos import recovery_handlers, recovery_losses
from tests.chaos.closing import closing_row
from tests.chaos.scorecard import Row, Setting
from tests.redis_server import RedisServer, private_redis

Part = Callable[[Setting, RedisServer, random.Random], Awaitable[list[Row]]]
PARTS: tuple[Part, ...] = (
    recovery_losses.killed_children,
    recovery_losses.lost_hosts,
    recovery_handlers.poison,
    recovery_handlers.blocked_loops,
    recovery_handlers.deaf_handlers,
    recovery_handlers.nasty_ends,
)


async def run(setting: Setting) -> list[Row]:
    """Each part on a namespace of its own, with choices that follow from the seed."""
    rows: list[Row] = []
    with private_redis(binary=setting.redis_server) as server:
        for part in PARTS:
            rows += await part(setting, server, random.Random(f"{setting.seed} {part.__name__}"))
        rows.append(await closing_row(server.url))
    return rows
