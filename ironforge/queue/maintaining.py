"""What any process may do for all: promote, reap, trim. Ticks are taken, so that many processes do the work of one."""

from __future__ import annotations

import json

from ironforge.queue.connection import store_errors
from ironforge.queue.listing import Listing
from ironforge.queue.working import LEASE_MS

COMPLETED_KEPT = 10_000
# Longer without a reaper's tick means an outage: then every worker first gets a whole lease to come back.
OUTAGE_MS = 5_000
_LAPSED = json.dumps(
    {"type": "WorkerLost", "message": "the worker's lease ran out and nobody saw why", "traceback": ""}
)


class Maintaining(Listing):
    async def take_tick(self, duty: str, every_ms: int) -> bool:
        """Whether this process does the duty now; one does within `every_ms`."""
        with store_errors():
            taken = await self.client.execute_command("SET", self.keys.tick(duty), "1", "NX", "PX", every_ms)
        return taken is not None

    async def promote_due(self, limit: int = 500) -> int:
        """scheduled, retrying -> queued in every queue; at most `limit` of each per queue."""
        return await self.call("promote", limit, *await self.queue_names())

    async def reap(self, limit: int = 10, lease_ms: int = LEASE_MS) -> list[str]:
        """Hands back the jobs of workers whose lease ran out; returns their ids."""
        reaped = await self.call("reap", lease_ms, OUTAGE_MS, limit, _LAPSED)
        return [wid.decode() for wid in reaped]

    async def trim(self, limit: int = 500, keep: int = COMPLETED_KEPT) -> int:
        """Removes completed and cancelled jobs whose retention ended; returns how many."""
        return await self.call("trim", keep, limit, *await self.queue_names())
