"""A Redis Cluster: which node owns which slot, and a client that sends each command there.

Not redis-py's own Cluster client: that one sends commands again by itself, and refuses script calls in pipelines.

While a slot is moved key by key (ASK), a script may not run: its keys lie on both nodes. Commands of one key are
followed as the protocol says; scripts and blocking calls are refused as `SlotMoving`, and whoever made them tries again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.crc import key_slot

from ironforge.queue.cluster_pipeline import ClusterPipeline
from ironforge.queue.slots import SLOTS, key_of
from ironforge.queue.urls import Address

MAX_REDIRECTIONS = 5
_LOST = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError)


class SlotMoving(redis_errors.ConnectionError):
    """The keys of a slot lie on two nodes for now. Its words are for people."""

    def __init__(self) -> None:
        super().__init__(
            "the Redis Cluster is moving these jobs from one node to another; they wait meanwhile"
        )


class Topology:
    """What is known of the Cluster, shared by all clients of it. Learnt again after a failure or a redirection.

    Args:
        seeds: the nodes that the URL names.
        connect: makes the client of one node; it opens no connection yet.
    """

    def __init__(self, seeds: Sequence[Address], connect: Callable[[Address], Any]) -> None:
        self.seeds = list(seeds)
        self._connect = connect
        self._clients: dict[Address, Any] = {}
        self._owners: list[Address | None] = [None] * SLOTS
        self._known: set[Address] = set()  # every node, replicas too
        self._last_lost: Address | None = None
        self._stale = True
        self._learning = asyncio.Lock()

    def client(self, address: Address) -> Any:
        """The Redis client of a node."""
        found = self._clients.get(address)
        if found is None:
            found = self._clients[address] = self._connect(address)
        return found

    async def owner(self, slot: int | None) -> Address:
        """The node of a slot, or any master. Raises ClusterDownError for a slot that nobody owns."""
        if self._stale:
            await self._learn()
        found = self._owners[slot] if slot is not None else next(filter(None, self._owners), None)
        if found is None:
            self._stale = True
            raise redis_errors.ClusterDownError("CLUSTERDOWN no node owns that slot")
        return found

    async def masters(self) -> list[Address]:
        if self._stale:
            await self._learn()
        return list(dict.fromkeys(owner for owner in self._owners if owner))

    def moved(self, moved: redis_errors.MovedError, by: Address) -> None:
        """Takes in what a node answered. The rest of the map is learnt anew: more may have moved."""
        self._owners[moved.slot_id] = target(moved, by)
        self._stale = True

    def lost(self, address: Address) -> None:
        self._last_lost = address
        self._stale = True

    async def aclose(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def _learn(self) -> None:
        async with self._learning:
            if not self._stale:
                return
            failure: Exception = redis_errors.ConnectionError("no node of the Cluster answers")
            for address in self._candidates():
                try:
                    reply = await self.client(address).execute_command("CLUSTER", "SLOTS")
                except redis_errors.AuthenticationError:
                    raise
                except (*_LOST, redis_errors.ClusterDownError) as error:
                    failure = error
                else:
                    self._take(reply, address)
                    self._stale = False
                    await self._drop_unknown()
                    return
            raise failure

    def _candidates(self) -> list[Address]:
        """Those to ask; the one that just failed comes last."""
        known = list(self._known)
        random.shuffle(known)
        everyone = list(dict.fromkeys([*known, *self.seeds]))
        return sorted(everyone, key=lambda address: address == self._last_lost)

    def _take(self, reply: list[Any], asked: Address) -> None:
        owners: list[Address | None] = [None] * SLOTS
        known: set[Address] = set()
        for first, last, *nodes in reply:
            addresses = [_address(node, asked) for node in nodes]
            known.update(addresses)
            owners[first : last + 1] = [addresses[0]] * (last + 1 - first)
        self._owners, self._known = owners, known

    async def _drop_unknown(self) -> None:
        """Idle connections of nodes that left; calls that are under way there end by themselves."""
        for address in set(self._clients) - self._known - set(self.seeds):
            await self._clients.pop(address).connection_pool.disconnect(inuse_connections=False)


class ClusterClient(Redis):
    """Sends a command to the node that owns its key, and one without a key to the node of `home`.

    A redirection (MOVED) is followed, for the command had no effect. Nothing else is sent again.

    Args:
        home: a slot; see `at`.
    """

    def __init__(self, topology: Topology, home: int | None = None) -> None:
        self.topology = topology
        seed = topology.client(topology.seeds[0])
        super().__init__(connection_pool=seed.connection_pool)  # for its settings alone
        self._home = home
        self._first_home: int | None = None

    def at(self, prefix: str) -> ClusterClient:
        """Shares everything but where commands without a key go. Without one of its own, they go to the first asked for."""
        home = key_slot(prefix.encode())
        if self._first_home is None:
            self._first_home = home
        return ClusterClient(self.topology, home)

    def slot_of(self, command: Sequence[Any]) -> int | None:
        key = key_of(command)
        if key is not None:
            return key_slot(key)
        return self._first_home if self._home is None else self._home

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        address = await self.topology.owner(self.slot_of(args))
        for _ in range(MAX_REDIRECTIONS):
            try:
                return await self.topology.client(address).execute_command(*args, **options)
            except redis_errors.MovedError as moved:
                self.topology.moved(moved, address)
                address = target(moved, address)
            except redis_errors.AskError as ask:
                return await self.ask(ask, address, args, options)
            except _LOST:
                self.topology.lost(address)
                raise
        raise redis_errors.ClusterDownError("CLUSTERDOWN redirected again and again")

    async def ask(
        self, ask: redis_errors.AskError, by: Address, args: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        """What the node that a slot moves to says of a key that is there already."""
        if str(args[0]).upper() in ("EVAL", "EVALSHA", "BZPOPMIN"):
            raise SlotMoving
        pipe = self.topology.client(target(ask, by)).pipeline(transaction=False)
        pipe.execute_command("ASKING")
        pipe.execute_command(*args, **options)
        return (await pipe.execute())[1]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> ClusterPipeline:
        return ClusterPipeline(self, transaction)

    async def scan_iter(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        """Of the home node; without one, of all masters."""
        addresses = await self.topology.masters()
        if self._home is not None:
            addresses = [await self.topology.owner(self._home)]
        for address in addresses:
            async for key in self.topology.client(address).scan_iter(*args, **options):
                yield key

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self.topology.aclose()


def target(redirection: redis_errors.AskError, by: Address) -> Address:
    """Where a node points to; one that knows no name of its own cluster means its own host."""
    told: Any = redirection
    return told.host or by[0], told.port


def _address(node: Sequence[Any], asked: Address) -> Address:
    host = node[0].decode() if isinstance(node[0], bytes) else node[0]
    return host if host and host != "?" else asked[0], int(node[1])
