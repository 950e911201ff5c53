"""Dead jobs by error fingerprint, largest group first."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ironforge.job import Job
from ironforge.queue.codec import job_from_hash, members_of
from ironforge.queue.connection import store_errors
from ironforge.queue.namespace import Namespace
from ironforge.queue.readings import DeadGroup
from ironforge.queue.shard import Shard


class Grouping(Namespace):
    async def dead_groups(
        self, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[DeadGroup], str | None, int]:
        """A page of the groups: (page, next cursor, number of groups).

        With several shards the number may count a group once per shard, until a page reaches the last group.
        """
        start = int(cursor) if cursor and cursor.isdigit() else 0
        shards = await self.all_shards()
        if len(shards) == 1:
            found, total = await _largest(shards[0], start, start + limit)
            chosen = list(found.items())
        else:
            chosen, total = await _merged_page(shards, start, limit)
        groups = [group for group in await _groups(shards, chosen) if group.count > 0]
        groups.sort(key=lambda group: (-group.count, -group.last_ms))  # of equal ones, the last to grow first
        following = start + len(chosen)
        return groups, str(following) if chosen and following < total else None, total


async def _largest(shard: Shard, first: int, end: int) -> tuple[dict[str, int], int]:
    """Groups of a shard by rank, with their counts; and how many it has."""
    with store_errors():
        found = await shard.client.execute_command(
            "ZREVRANGE", shard.keys.dead_groups, first, end - 1, "WITHSCORES"
        )
        total: int = await shard.client.execute_command("ZCARD", shard.keys.dead_groups)
    return {name.decode(): int(count) for name, count in members_of(found)}, total


async def _merged_page(shards: list[Shard], start: int, limit: int) -> tuple[list[tuple[str, int]], int]:
    """The page of what several shards hold, each group's count summed over all of them."""
    seen: set[str] = set()
    unseen = 0
    for shard in shards:
        found, size = await _largest(shard, 0, start + limit)
        seen.update(found)
        unseen += size - len(found)
    names, sums = sorted(seen), Counter[str]()
    for shard in shards:
        if names:
            with store_errors():
                scores = await shard.client.execute_command("ZMSCORE", shard.keys.dead_groups, *names)
            sums.update({name: int(score) for name, score in zip(names, scores, strict=True) if score})
    ordered = sorted(sums.items(), key=lambda group: (-group[1], group[0]))
    return ordered[start : start + limit], len(ordered) + unseen


async def _groups(shards: list[Shard], counts: list[tuple[str, int]]) -> list[DeadGroup]:
    """The groups with when they began and grew last, and the last job to die as a sample."""
    ends: dict[str, list[tuple[float, float, str, Shard]]] = {}
    for shard in shards:
        for (name, _), (first, last) in zip(counts, await _ends(shard, counts), strict=True):
            if first and last:
                ends.setdefault(name, []).append((first[0][1], last[0][1], last[0][0].decode(), shard))
    groups: list[DeadGroup] = []
    for name, count in counts:
        if found := ends.get(name):
            began = min(end[0] for end in found)
            _, grew, job_id, shard = max(found, key=lambda end: end[1])
            groups.append(DeadGroup(name, count, int(began), int(grew), await _sample(shard, job_id)))
    return groups


async def _ends(shard: Shard, counts: list[tuple[str, int]]) -> list[tuple[Any, Any]]:
    """First and last member of each group in this shard, each [] for none."""
    if not counts:
        return []
    with store_errors():
        pipe = shard.client.pipeline(transaction=False)
        for name, _ in counts:
            pipe.execute_command("ZRANGE", shard.keys.dead_group(name), 0, 0, "WITHSCORES")
            pipe.execute_command("ZRANGE", shard.keys.dead_group(name), -1, -1, "WITHSCORES")
        found = [members_of(reply) for reply in await pipe.execute()]
    return list(zip(found[::2], found[1::2], strict=True))


async def _sample(shard: Shard, job_id: str) -> Job | None:
    with store_errors():
        fields = await shard.client.execute_command("HGETALL", shard.keys.job(job_id))
    return job_from_hash(job_id, fields) if fields else None
