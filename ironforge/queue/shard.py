"""One shard: its keys, its Redis clients, and how a script is called on it. Every script works within one shard."""

from __future__ import annotations

from typing import Any, NamedTuple

from ironforge.queue.client import RedisClient
from ironforge.queue.connection import client_at, make_client, store_errors
from ironforge.queue.keys import Keys
from ironforge.queue.scripts import Argument, Pipeline, Script, run, script


class Clients(NamedTuple):
    """What all shards of a namespace share. Blocking calls must not hold a connection that others wait for: they have a
    client of their own."""

    calls: RedisClient
    blocking: RedisClient

    @classmethod
    def to(cls, url: str) -> Clients:
        """Opens no connection. Raises ConfigError for a URL that cannot be used."""
        return cls(make_client(url), make_client(url, connections=16))

    async def close(self) -> None:
        await self.calls.aclose()
        await self.blocking.aclose()


class Shard:
    """A part of a namespace whose keys lie in one Cluster slot."""

    def __init__(self, clients: Clients, keys: Keys, *, shifted_clock: bool = False) -> None:
        self.keys = keys
        self.client = client_at(clients.calls, keys.prefix)
        self.blocking = clients.blocking
        self._shifted_clock = shifted_clock
        self.known_scripts: set[str] = set()

    def script(self, name: str) -> Script:
        return script(name, shifted_clock=self._shifted_clock)

    async def call(self, name: str, *arguments: Argument) -> Any:
        """Runs `lua/<name>.lua` here. Raises StoreUnavailable."""
        with store_errors():
            return await run(self.client, self.script(name), self.keys.prefix, *arguments)

    def pipeline(self) -> Pipeline:
        return Pipeline(self.client, self.keys.prefix, self.known_scripts)

    async def queue_names(self) -> set[str]:
        """Every queue of this shard ever used."""
        with store_errors():
            names = await self.client.execute_command("SMEMBERS", self.keys.queues)
        return {name.decode() for name in names}

    async def load_scripts(self, names: list[str]) -> None:
        """Has the server compile scripts, so that a mistake or a missing right shows before a job needs them."""
        with store_errors():
            for name in names:
                await self.client.execute_command("SCRIPT", "LOAD", self.script(name).text)

    async def raw_round_trips(self, calls: int) -> None:
        """For benchmarks: as many calls of raw.lua in one pipeline."""
        pipeline = self.pipeline()
        for at in range(calls):
            pipeline.add(self.script("raw"), at)
        with store_errors():
            await pipeline.run()

    async def remove(self) -> None:
        """Removes every key of this shard, in bounded steps. For benchmarks and tests."""
        with store_errors():
            async for key in self.client.scan_iter(match=f"{self.keys.prefix}*", count=1000):
                await self.client.unlink(key)
