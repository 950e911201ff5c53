"""Waiting for a queue's wake mark, without polling."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from redis.exceptions import TimeoutError as RedisTimeoutError

from ironforge.queue.connection import store_errors
from ironforge.queue.keys import by_shard, shard_of_name
from ironforge.queue.namespace import Namespace
from ironforge.queue.shard import Shard


class Waking(Namespace):
    # Blocking calls that go on between two waits: one that is broken off could take a mark with it.
    _blocked: dict[tuple[str, ...], asyncio.Task[str | None]] | None = None

    async def wait_for_wake(self, queues: Sequence[str], timeout_s: float) -> str | None:
        """Blocks until one of the queues may have something, or `timeout_s` (> 0) passed. Takes the mark."""
        shards = await self.all_shards()
        groups = _groups(queues, len(shards), apart="+cluster" in urlsplit(self.url).scheme)
        if len(groups) == 1:
            return await _block(shards, groups[0], timeout_s)
        running = self._blocked = self._blocked or {}
        for group in groups:
            if group not in running:
                running[group] = asyncio.create_task(_block(shards, group, timeout_s))
        done, _ = await asyncio.wait(running.values(), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for group, task in list(running.items()):
            if task in done:
                del running[group]  # others that are done too are found by the next wait
                if queue := task.result():
                    return queue
        return None

    async def give_back_wake(self, queue: str) -> None:
        """For a worker that took the mark and has no free slot: another may want it."""
        shard = await self.of_queue(queue)
        with store_errors():
            await shard.client.execute_command("ZADD", shard.keys.wake(queue), 1, "ready")

    async def close(self) -> None:
        for task in (self._blocked or {}).values():
            task.cancel()
        await asyncio.gather(*(self._blocked or {}).values(), return_exceptions=True)
        await super().close()


def _groups(queues: Sequence[str], shards: int, *, apart: bool) -> list[tuple[str, ...]]:
    """Queues that one call can block on: all, but in a Cluster those of one shard."""
    if not apart or shards == 1:
        return [tuple(queues)]
    return [tuple(group) for group in by_shard(queues, shards).values()]


async def _block(shards: list[Shard], queues: Sequence[str], timeout_s: float) -> str | None:
    keys = [shards[shard_of_name(queue, len(shards))].keys.wake(queue) for queue in queues]
    with store_errors():
        try:
            taken = await shards[0].blocking.execute_command("BZPOPMIN", *keys, max(0.01, timeout_s))
        except RedisTimeoutError:
            return None
    return queues[keys.index(taken[0].decode())] if taken else None
