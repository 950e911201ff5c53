"""The shard's Redis clients and how a script is called: what every part of RedisQueue stands on."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from ironforge.errors import StartupError
from ironforge.queue import keys as key_names
from ironforge.queue.connection import make_client, store_errors
from ironforge.queue.scripts import Argument, Pipeline, Script, run, script

OLDEST_REDIS = (7, 0)


class Store:
    """One namespace on one Redis. Opens no connection before the first call."""

    def __init__(self, url: str, namespace: str = "ironforge", *, shifted_clock: bool = False) -> None:
        self.url = url
        self.namespace = namespace
        self.keys = key_names.Keys(namespace)
        self.client: Redis = make_client(url)
        # Blocking calls must not hold a connection that others wait for, nor end with the socket's time limit.
        self._blocking: Redis = make_client(url, connections=8, socket_timeout_s=None)
        self._shifted_clock = shifted_clock
        self._known_scripts: set[str] = set()

    def script(self, name: str) -> Script:
        return script(name, shifted_clock=self._shifted_clock)

    async def call(self, name: str, *arguments: Argument) -> Any:
        """Runs `lua/<name>.lua` on this shard. Raises StoreUnavailable."""
        with store_errors():
            return await run(self.client, self.script(name), self.keys.prefix, *arguments)

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

    async def remove_namespace(self) -> None:
        """Removes every key of this namespace, in bounded steps. For benchmarks and tests."""
        with store_errors():
            async for key in self.client.scan_iter(match=f"{self.namespace}:*", count=1000):
                await self.client.unlink(key)

    def pipeline(self) -> Pipeline:
        return Pipeline(self.client, self.keys.prefix, self._known_scripts)

    async def block_on(self, keys: list[str], timeout_s: float) -> bytes | None:
        """The key of the first mark that can be taken within `timeout_s` (> 0), else None."""
        with store_errors():
            try:
                taken = await self._blocking.execute_command("BZPOPMIN", *keys, max(0.01, timeout_s))
            except RedisTimeoutError:
                return None
        return None if not taken else taken[0]

    async def open(self, *, allow_unsafe: bool = False) -> None:
        """Checks that this Redis can be trusted with jobs.

        Raises:
            StoreUnavailable: it cannot be reached.
            StartupError: it is too old, evicts keys, or its namespace was split differently.
        """
        with store_errors():
            info: dict[str, Any] = await self.client.info()
            if not allow_unsafe:
                refuse_unsafe(info)
            meta = key_names.namespace_meta(self.namespace)
            if not await self.client.hsetnx(meta, "shards", "1"):
                shards = await self.client.hget(meta, "shards")
                if shards != b"1":
                    raise StartupError(
                        f"namespace {self.namespace!r} is split into {shards!r} shards; this version runs one"
                    )

    async def close(self) -> None:
        await self.client.aclose()
        await self._blocking.aclose()


def refuse_unsafe(info: dict[str, Any]) -> None:
    """Raises StartupError for a server that is too old or throws keys away when it is full."""
    version = str(info.get("redis_version", "0"))
    parts = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    if tuple(parts) < OLDEST_REDIS:
        raise StartupError(
            f"Redis {version} is too old: IronForge needs Redis 7.0 or Valkey 7.2 and newer. "
            "Upgrade it, or leave REDIS_URL unset to use the embedded server"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise StartupError(
            f"this Redis evicts keys when it is full (maxmemory-policy {policy}), which loses jobs. "
            "Run 'redis-cli CONFIG SET maxmemory-policy noeviction', or start with --allow-unsafe-redis"
        )
