"""Pipelines in a Redis Cluster: each node's part in one round trip, on one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors
from redis.asyncio.client import Pipeline

from ironforge.queue.slots import key_of
from ironforge.queue.urls import Address

if TYPE_CHECKING:
    from ironforge.queue.cluster import ClusterClient

_LOST = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError)
_MAX_REDIRECTIONS = 5
_Command = tuple[tuple[Any, ...], dict[str, Any]]


class ClusterPipeline(Pipeline):
    """As redis-py's. A transaction has to lie in one slot."""

    def __init__(self, client: ClusterClient, transaction: bool) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, None)
        self._client = client
        self._transaction = transaction

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands: list[_Command] = [(args, dict(options)) for args, options in self.command_stack]
        self.command_stack = []
        replies: list[Any] = [None] * len(commands)
        waiting = list(range(len(commands)))
        for _ in range(_MAX_REDIRECTIONS):
            for address, indexes in (await self._by_node(commands, waiting)).items():
                await self._send(address, commands, indexes, replies)
            waiting = self._again(commands, replies)
            if not waiting:
                break
        failed = next((reply for reply in replies if isinstance(reply, Exception)), None)
        if raise_on_error and failed is not None:
            raise failed
        return replies

    async def _by_node(self, commands: list[_Command], waiting: list[int]) -> dict[Address, list[int]]:
        """Commands without a key go with the first that has one."""
        slots = {at: self._client.slot_of(commands[at][0]) for at in waiting}
        keyed = [slots[at] for at in waiting if key_of(commands[at][0]) is not None]
        nodes: dict[Address, list[int]] = {}
        for at in waiting:
            has_key = key_of(commands[at][0]) is not None
            slot = slots[at] if has_key or not keyed else keyed[0]
            nodes.setdefault(await self._client.topology.owner(slot), []).append(at)
        return nodes

    async def _send(
        self, address: Address, commands: list[_Command], indexes: list[int], replies: list[Any]
    ) -> None:
        pipe = self._client.topology.client(address).pipeline(transaction=self._transaction)
        for at in indexes:
            args, options = commands[at]
            pipe.execute_command(*args, **options)
        try:
            found: list[Any] = await pipe.execute(raise_on_error=False)
        except redis_errors.AskError as redirection:  # of a transaction: all of it
            found = [redirection for _ in indexes]
        except _LOST:
            self._client.topology.lost(address)
            raise
        for at, reply in zip(indexes, found, strict=True):
            replies[at] = reply
            if isinstance(reply, redis_errors.MovedError):
                self._client.topology.moved(reply, address)
            elif isinstance(reply, redis_errors.AskError):
                replies[at] = await self._asked(reply, address, commands[at])

    async def _asked(self, ask: redis_errors.AskError, by: Address, command: _Command) -> Any:
        if self._transaction:
            return redis_errors.TryAgainError("TRYAGAIN the slot moves")
        try:
            return await self._client.ask(ask, by, *command)
        except (redis_errors.ResponseError, redis_errors.ConnectionError) as error:
            return error

    def _again(self, commands: list[_Command], replies: list[Any]) -> list[int]:
        """Those that were redirected, with all that have no key: SCRIPT LOAD and WAIT mean the node of the others."""
        moved = [at for at, reply in enumerate(replies) if isinstance(reply, redis_errors.MovedError)]
        if not moved:
            return []
        return [at for at in range(len(commands)) if at in moved or key_of(commands[at][0]) is None]
