"""IronForge for peerbench, as a user would write it: a Forge, its tasks, a Worker; everything at its defaults.

Completed jobs are kept, attempts and statistics written, fences checked. `IRONFORGE_BENCH_HANDLER` is `async`, `thread` or
`process`; with `IRONFORGE_BENCH_BULK=awaits` jobs come from 100 callers at once, each of which awaits its own.
"""

import os
from contextlib import asynccontextmanager

import adapterkit as kit
from adapter_tasks import forge

from ironforge import Worker

AWAITS = os.environ.get("IRONFORGE_BENCH_BULK") == "awaits"


class Client:
    async def send(self, task: str) -> None:
        await forge.enqueue(task)

    async def send_bulk(self, count: int) -> None:
        if AWAITS:
            await kit.in_lanes(lambda: forge.enqueue("noop"), count)
            return
        for size in kit.chunks(count):
            await forge.enqueue_many([("noop", {})] * size)


@asynccontextmanager
async def open_client():
    await forge.connect()
    yield Client()
    await forge.aclose()


def run_worker() -> None:
    Worker(forge, concurrency=kit.CONCURRENCY).run()


if __name__ == "__main__":
    kit.run(open_client, run_worker, use_uvloop=True)
