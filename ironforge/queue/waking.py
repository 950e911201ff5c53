"""Waiting for a queue's wake mark, without polling."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ironforge.queue.connection import store_errors
from ironforge.queue.keys import by_shard, shard_of_name
from ironforge.queue.node import NodeClient
from ironforge.queue.readings import Turn, TurnReply
from ironforge.queue.shard import Shard
from ironforge.queue.turning import Turning, claim_arguments, claim_reply


class Waking(Turning):
    # Blocking calls that go on between two waits: one that is broken off could take a mark with it.
    _blocked: dict[tuple[str, ...], asyncio.Task[str | None]] | None = None
    _waits = 0  # calls of `wait_for_wake` under way

    async def wait_for_wake(self, queues: Sequence[str], timeout_s: float) -> str | None:
        """Blocks until one of the queues may have something, or `timeout_s` (> 0) passed. Takes the mark."""
        shards = await self.all_shards()
        groups = _groups(queues, len(shards), apart="+cluster" in urlsplit(self.url).scheme)
        if len(groups) == 1:
            return await _block(shards, groups[0], timeout_s)
        running = self._blocked = self._blocked or {}
        for group in groups:
            if group not in running:
                running[group] = asyncio.create_task(self._block_apart(shards, group, timeout_s))
        self._waits += 1
        try:
            done, _ = await asyncio.wait(
                running.values(), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        except asyncio.CancelledError:  # nobody will ask again: a mark must not be taken for nobody
            for task in running.values():
                task.cancel()
            running.clear()
            raise
        finally:
            self._waits -= 1
        for group, task in list(running.items()):
            if task in done:
                del running[group]  # others that are done too are found by the next wait
                if queue := task.result():
                    return queue
        return None

    async def _block_apart(self, shards: list[Shard], group: tuple[str, ...], timeout_s: float) -> str | None:
        queue = await _block(shards, group, timeout_s)
        if queue and not self._waits:  # this worker found enough to do elsewhere; another may be idle
            await _set_again(shards, queue)
            return None
        return queue

    async def claim_on_wake(self, turn: Turn, timeout_s: float) -> TurnReply:
        """Waits as `wait_for_wake` does, then claims. With one shard in one exchange: an idle worker starts the sooner.

        Args:
            turn: one that only claims.

        Raises:
            StoreUnavailable: it may have claimed. The same turn sent by `turn` is given the same jobs.
        """
        shards = await self.all_shards()
        client = shards[0].blocking
        if len(shards) > 1 or not isinstance(client, NodeClient):
            marked = await self.wait_for_wake(turn.queues, timeout_s)
            reply = await self.turn(turn)
        else:
            marked, reply = await self._claimed_at_mark(shards[0], client, turn, timeout_s)
        if marked and _may_be_left(turn, reply, marked):
            await _set_again(shards, marked)
        return reply

    async def _claimed_at_mark(
        self, shard: Shard, client: NodeClient, turn: Turn, timeout_s: float
    ) -> tuple[str | None, TurnReply]:
        """The queue whose mark was taken, and what was claimed then."""
        marks = [shard.keys.wake(queue) for queue in turn.queues]
        claim = ("EVALSHA", shard.script("claim").digest, 1, shard.keys.prefix, *claim_arguments(turn))
        with store_errors():
            replies = await client.exchange((("BZPOPMIN", *marks, max(0.01, timeout_s)), claim))
            marked = None if isinstance(replies[0], Exception) else _queue_of(replies[0], marks, turn.queues)
            for reply in replies:
                if isinstance(reply, NoScriptError):
                    return marked, await self.turn(turn)
                if isinstance(reply, Exception):
                    raise reply
        return marked, claim_reply(turn, [], replies[1])

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
    return _queue_of(taken, keys, queues)


def _queue_of(taken: list[bytes] | None, marks: Sequence[str], queues: Sequence[str]) -> str | None:
    """Of what BZPOPMIN gave."""
    return queues[marks.index(taken[0].decode())] if taken else None


def _may_be_left(turn: Turn, reply: TurnReply, marked: str) -> bool:
    """Whether the claim did not come to look into the queue whose mark was taken for it. (One that it took from, it
    looks into to the end, and sets the mark again itself.)"""
    did_not_look = reply.word != "ok" or len(reply.jobs) == turn.slots
    return did_not_look and all(job.queue != marked for job in reply.jobs)


async def _set_again(shards: list[Shard], queue: str) -> None:
    shard = shards[shard_of_name(queue, len(shards))]
    with store_errors():
        await shard.client.execute_command("ZADD", shard.keys.wake(queue), 1, "ready")
