"""Submits a thousand jobs in one round trip, of every priority, for routing_worker.py."""

from __future__ import annotations

import asyncio
import time

from ironforge import Forge, NewJob, Priority

JOBS = 1000


async def main() -> None:
    priorities = list(Priority)
    jobs = [
        NewJob("email.send", b'{"to": "user%d@example.com"}' % at, priority=priorities[at % len(priorities)])
        for at in range(JOBS)
    ]
    async with Forge() as forge:
        began = time.perf_counter()
        accepted = await forge.enqueue_many(jobs)
        took_s = time.perf_counter() - began
    print(f"{len(accepted)} jobs accepted in {took_s * 1000:.0f} ms; the first is {accepted[0].id}")


if __name__ == "__main__":
    asyncio.run(main())
