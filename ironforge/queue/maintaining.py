"""What any process may do for all: promote, reap, trim. Ticks are taken, so that many processes do the work of one."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

from ironforge.job import DEFAULT_QUEUE
from ironforge.queue.namespace import Namespace
from ironforge.queue.shard import Shard
from ironforge.queue.working import LEASE_MS

COMPLETED_KEPT = 10_000
# Longer without a reaper's tick means an outage: then every worker first gets a whole lease to come back.
OUTAGE_MS = 5_000
TRIM_S = 0.5  # of each tick at most, so that trimming keeps pace whatever is completed meanwhile
_LAPSED = json.dumps(
    {"type": "WorkerLost", "message": "the worker's lease ran out and nobody saw why", "traceback": ""}
)


class Maintaining(Namespace):
    async def take_tick(self, duty: str, every_ms: int) -> bool:
        """Whether this process does the duty now, in all shards; one does within `every_ms`."""
        first = (await self.all_shards())[0]
        return await first.call("take_tick", duty, every_ms) == 1

    async def survey(self, every_ms: int) -> set[str]:
        """Which of the duties reap, promote and trim have something to do, in some shard.

        One caller within `every_ms` gets an answer; for the others there is nothing to do.
        """
        words: set[str] = set()
        for shard in await self.all_shards():
            told = await shard.call("survey", LEASE_MS, OUTAGE_MS, COMPLETED_KEPT, every_ms)
            words.update(word.decode() for word in told)
        return words

    async def promote_due(self, limit: int = 500) -> int:
        """scheduled, retrying -> queued in every queue; at most `limit` of each per queue."""
        return sum([await shard.call("promote", limit, *names) async for shard, names in self._served()])

    async def reap(self, limit: int = 10, lease_ms: int = LEASE_MS) -> list[str]:
        """Hands back the jobs of workers whose lease ran out; returns their ids."""
        reaped: set[str] = set()
        for shard in await self.all_shards():
            wids = await shard.call("reap", lease_ms, OUTAGE_MS, limit, _LAPSED)
            reaped.update(wid.decode() for wid in wids)
        return sorted(reaped)

    async def trim(self, limit: int = 250, keep: int = COMPLETED_KEPT, spend_s: float = TRIM_S) -> int:
        """Removes completed and cancelled jobs whose retention ended; returns how many.

        Args:
            limit: at most so many in one script call, which others have to wait for.
            spend_s: calls are made until nothing is left, or so long.
        """
        gone, until = 0, time.monotonic() + spend_s
        async for shard, names in self._served():
            while True:
                removed = await shard.call("trim", keep, limit, *names)
                gone += removed
                if removed < limit or time.monotonic() >= until:
                    break
        return gone

    async def _served(self) -> AsyncIterator[tuple[Shard, list[str]]]:
        """Shards that have queues, with their names; `default` counts as one."""
        home = await self.of_queue(DEFAULT_QUEUE)
        for shard in await self.all_shards():
            names = await shard.queue_names()
            if shard is home:
                names.add(DEFAULT_QUEUE)
            if names:
                yield shard, sorted(names)
