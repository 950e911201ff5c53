"""A namespace and its shards: how many there are, and which of them a queue, a job or a name lives in."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from ironforge.errors import ConfigError, JobNotFound, StartupError
from ironforge.job import shard_of
from ironforge.queue.connection import store_errors
from ironforge.queue.durability import NO_REPLICA, Node, online_replicas, read_node, refuse_undurable, weakest
from ironforge.queue.keys import Keys, namespace_meta, shard_of_name
from ironforge.queue.shard import Clients, Shard
from ironforge.queue.versions import agree

log = logging.getLogger("ironforge.redis")
OLDEST_REDIS = (7, 0)
MAX_SHARDS = 256


class Namespace:
    """Opens no connection before the first call.

    Args:
        url: see `make_client`.
        shards: at the first start of a namespace, into how many shards it is split for good (1); later it has to
            agree. None takes what it finds.
        durability: see `config.DURABILITIES`.
        shifted_clock: for tests, see `scripts.script`.

    Raises:
        ConfigError: the URL or the number of shards cannot be used.
    """

    def __init__(
        self,
        url: str,
        namespace: str = "ironforge",
        *,
        shards: int | None = None,
        durability: str = "local",
        shifted_clock: bool = False,
    ) -> None:
        if shards is not None and not 1 <= shards <= MAX_SHARDS:
            raise ConfigError(f"a namespace has 1 to {MAX_SHARDS} shards, not {shards}")
        self.url = url
        self.namespace = namespace
        self.durability = durability
        self.shards: list[Shard] = []  # known after the first exchange
        self._clients = Clients.to(url)
        self._wanted = shards
        self._shifted_clock = shifted_clock

    async def open(self, *, allow_unsafe: bool = False) -> None:
        """Checks that this Redis can be trusted with jobs.

        Raises:
            StoreUnavailable: it cannot be reached.
            StartupError: it is too old, evicts keys, keeps less than was asked for, or its namespace was split
                differently.
        """
        info, disk = await self.read_redis()
        if not info:
            log.warning("INFO is refused to this Redis user: its version and eviction policy are not checked")
        elif not allow_unsafe:
            refuse_unsafe(info)
        refuse_undurable(self.durability, disk, allow_unsafe=allow_unsafe)
        if self.durability == "replicated" and not online_replicas(info):
            log.warning(NO_REPLICA)
        await self.all_shards()

    async def read_redis(self) -> Node:
        """What is behind the namespace, in each respect as the weakest of its servers. Raises StoreUnavailable."""
        if "+cluster" not in urlsplit(self.url).scheme:
            return await read_node(self._clients.calls)
        return weakest([await read_node(shard.client) for shard in await self.all_shards()])

    async def remember_shards(self) -> None:
        """Writes their number again where it was deleted behind our back, before a newcomer takes it for one."""
        shards = await self.all_shards()
        if len(shards) > 1:
            await self._count(len(shards))

    async def sync_each_write(self) -> None:
        """Has a server of our own keep every change before it answers. Raises StoreUnavailable."""
        with store_errors():
            await self._clients.calls.execute_command(
                "CONFIG", "SET", "appendonly", "yes", "appendfsync", "always"
            )

    async def close(self) -> None:
        await self._clients.close()

    async def all_shards(self) -> list[Shard]:
        """Every shard. Raises StartupError when their number is not the one asked for, or this version is too old."""
        if not self.shards:
            await agree(self._clients.calls, self.namespace)
            count = await self._count()
            self.shards = [
                Shard(self._clients, Keys(self.namespace, at, count), shifted_clock=self._shifted_clock)
                for at in range(count)
            ]
        return self.shards

    async def of_queue(self, queue: str) -> Shard:
        return await self.of_name(queue)

    async def of_name(self, name: str) -> Shard:
        """The shard of a queue, an Idempotency-Key or a lock."""
        shards = self.shards or await self.all_shards()
        return shards[shard_of_name(name, len(shards))]

    async def of_job(self, job_id: str) -> Shard:
        """The shard an id carries. Raises JobNotFound for one that does not exist."""
        shards = self.shards or await self.all_shards()
        at = shard_at(job_id, len(shards))
        if at is None:
            raise JobNotFound(job_id)
        return shards[at]

    async def now_ms(self) -> int:
        """The Redis server's clock, Unix milliseconds."""
        first = (await self.all_shards())[0]
        with store_errors():
            seconds, micros = await first.client.execute_command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    @property
    def client(self) -> Any:
        """The client that all shards share."""
        return self._clients.calls

    @property
    def keys(self) -> Keys:
        """Key names of a namespace that has one shard."""
        (only,) = self.shards
        return only.keys

    async def remove_namespace(self) -> None:
        """Removes every key of this namespace, in bounded steps. For benchmarks and tests."""
        for shard in await self.all_shards():
            await shard.remove()
        with store_errors():
            await self._clients.calls.unlink(namespace_meta(self.namespace))

    async def _count(self, known: int = 1) -> int:
        """How many shards there are. Whoever comes first to a new namespace decides."""
        meta = namespace_meta(self.namespace)
        with store_errors():
            found = await self._clients.calls.execute_command("HGET", meta, "shards")
            if found is None:
                await self._clients.calls.execute_command("HSETNX", meta, "shards", self._wanted or known)
                found = await self._clients.calls.execute_command("HGET", meta, "shards")
        count = int(found) if found is not None and found.isdigit() else 0
        if not 1 <= count <= MAX_SHARDS:
            raise StartupError(f"{meta} in Redis says {found!r} shards, which nothing of ours wrote")
        if self._wanted is not None and self._wanted != count:
            raise StartupError(
                f"namespace {self.namespace!r} was split into {count} shards at its first start, and "
                f"{self._wanted} were asked for; leave --shards out, or use another namespace"
            )
        return count


def shard_at(job_id: str, shards: int) -> int | None:
    """Which of the shards an id belongs to; None when there is no such shard."""
    if shards == 1:
        return 0
    try:
        at = shard_of(job_id)
    except ValueError:  # not an id of ours
        return None
    return at if at < shards else None


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
