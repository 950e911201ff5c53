"""Submits a few jobs for simple_worker.py: typed by its signature, by kind, later, with another priority."""

from __future__ import annotations

import asyncio

from simple_worker import forge, greet

from ironforge import Priority


async def main() -> None:
    async with forge:
        first = await greet.enqueue("Ada")
        urgent = await greet.options(priority=Priority.HIGH).enqueue("Grace", greeting="Welcome")
        later = await greet.options(delay_s=2).enqueue("Linus")
        by_kind = await forge.enqueue("greet", {"name": "Margaret"}, tags=["example"])
        for job in (first, urgent, later, by_kind):
            print(job.id, job.kind, job.status.value, job.payload)


if __name__ == "__main__":
    asyncio.run(main())
