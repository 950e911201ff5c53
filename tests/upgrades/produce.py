"""A producer of whichever version its PYTHONPATH names: `python -m tests.upgrades.produce FIRST COUNT`."""

from __future__ import annotations

import asyncio
import sys

from ironforge import NewJob
from tests.upgrades.tasks import forge


async def produce(first: int, count: int) -> None:
    async with forge:
        await forge.enqueue_many(
            [NewJob("echo", b'{"mark":%d}' % (first + at), max_retries=0) for at in range(count)]
        )


if __name__ == "__main__":
    asyncio.run(produce(int(sys.argv[1]), int(sys.argv[2])))
