"""RedisQueue with its clock in a key and its commands as hops; everything else is the product's own code and Lua."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import ironforge.queue
from ironforge.job import Job, NewJob
from ironforge.queue import scripts
from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import Keys
from ironforge.queue.maintaining import OUTAGE_MS
from ironforge.queue.scripts import Script
from ironforge.queue.shard import Clients, Shard
from tests.model.wire import HoppingClient

NAMESPACE = "model"
CLOCK_KEY = "test:clock_us"
_NOW = "local now_us = clock[1] * 1000000 + clock[2]\n"
_FIXED_NOW = f"local now_us = tonumber(redis.call('GET', P .. '{CLOCK_KEY}'))\n"


class ClockedShard(Shard):
    """Its scripts take the time from a key alone, so that each step of the clock is exact.

    Args:
        lua: a folder of scripts to use instead of the shipped ones.
    """

    def __init__(self, lua: Path | None) -> None:
        client = cast("Any", HoppingClient())
        super().__init__(Clients(client, client), Keys(NAMESPACE))
        self._lua = lua

    def script(self, name: str) -> Script:
        return clocked_script(name, self._lua)


class ClockedQueue(RedisQueue):
    """One shard; opens nothing. Calls are coroutines that stop at each command, see `wire.Hop`."""

    def __init__(self, lua: Path | None = None) -> None:
        super().__init__("unix:///nowhere", NAMESPACE)
        self.shards = [ClockedShard(lua)]

    async def enqueue(self, new: NewJob) -> Job:
        # The product gathers the calls of one tick of the event loop; here there is no loop.
        return (await self.enqueue_many([new]))[0]

    async def claim_bounded(
        self, wid: str, lane: int, token: str, n: int, limit: int, queues: Sequence[str]
    ) -> Any:
        """As a turn's claim, with a bound on promotions that a few jobs reach."""
        return await self.shards[0].call("claim", wid, lane, token, n, limit, *queues)

    async def survey_bounded(self, lease_ms: int, keep: int, every_ms: int) -> Any:
        """As `survey`, with a bound on completed jobs that a few reach."""
        return await self.shards[0].call("survey", lease_ms, OUTAGE_MS, keep, every_ms)

    async def reserve(self, key: str, request_hash: str, job_id: str) -> Any:
        return await self.shards[0].call("reserve", key, request_hash, job_id)

    async def confirm(self, key: str, request_hash: str, job_id: str) -> Any:
        return await self.shards[0].call("confirm", key, request_hash, job_id)


@cache
def clocked_script(name: str, lua: Path | None) -> Script:
    """A script as the product puts it together, but for its clock."""
    if lua is None:
        made = scripts.script(name)
    else:
        with patch.object(scripts, "_read", lambda part: (lua / f"{part}.lua").read_text(encoding="utf-8")):
            made = scripts.script.__wrapped__(name)
    text = made.text.decode()
    if _NOW not in text:
        raise AssertionError(f"{name}: the prelude no longer takes its clock as the model's hook expects")
    fixed = text.replace(_NOW, _FIXED_NOW).encode()
    return Script(name, fixed, sha1(fixed, usedforsecurity=False).hexdigest())


def script_names(lua: Path | None) -> list[str]:
    """Every script of that folder, the shipped one for None."""
    folder = lua or Path(ironforge.queue.__file__).parent / "lua"
    return sorted(path.stem for path in folder.glob("[a-z]*.lua"))
