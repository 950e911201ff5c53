"""IronForge for peerbench, as a user would write it: a Forge, its tasks, a Worker; everything at its defaults.

Completed jobs are kept, attempts and statistics written, fences checked.
"""

import os
from contextlib import asynccontextmanager

import adapterkit as kit

from ironforge import Forge, Worker

forge = Forge(kit.REDIS_URL)
threaded = os.environ.get("PEERBENCH_VARIANT") == "threads"


if threaded:

    @forge.task("noop")
    def noop() -> None:
        kit.mark()

else:

    @forge.task("noop")
    async def noop() -> None:
        kit.mark()


@forge.task("nap")
async def nap() -> None:
    await kit.async_nap()


@forge.task("nudge")
async def nudge() -> None:
    pass


class Client:
    async def send(self, task: str) -> None:
        await forge.enqueue(task)

    async def send_bulk(self, count: int) -> None:
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
