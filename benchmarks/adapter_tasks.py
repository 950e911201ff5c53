"""The tasks of the adapter beside this. A module of their own: a handler's process has to be able to import them."""

import os

import adapterkit as kit

from ironforge import Forge

HANDLER = os.environ.get("IRONFORGE_BENCH_HANDLER", "async")
forge = Forge(kit.REDIS_URL)

if HANDLER == "async":

    @forge.task("noop")
    async def noop() -> None:
        kit.mark()

else:

    @forge.task("noop", process=HANDLER == "process")
    def noop() -> None:
        kit.mark()


@forge.task("nap")
async def nap() -> None:
    await kit.async_nap()


@forge.task("nudge")
async def nudge() -> None:
    pass
