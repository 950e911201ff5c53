"""All key names. The Lua prelude builds the same ones from the prefix; a test compares the two.

After the prefix `<namespace>:{<tag>}:`

| key | type | holds |
|---|---|---|
| job:<id> | hash | the job, only what differs from the default; attempt:<n> for its last 10 attempts |
| q:<queue>:queued, :suspects | zset | rank * 2^51 + sequence |
| q:<queue>:scheduled, :retrying | zset | due, Unix ms |
| q:<queue>:running, :dead | zset | since, Unix ms |
| q:<queue>:completed, :cancelled | zset | removal time, Unix ms |
| q:<queue>:wake | zset | one mark, blocked on with BZPOPMIN |
| q:<queue>:settings | hash | sequence, paused, changes, suspect_worker |
| queues, kinds | set | names ever used; kinds that have a label of their own in metrics |
| workers | zset | worker id -> lease expiry, Unix ms |
| worker:<wid>, :claims, :orders | hash, set, set | what it says of itself; job ids it holds; what is asked of it |
| dead:groups, dead:group:<fingerprint> | zset | fingerprint -> jobs; job -> died, Unix ms |
| idem:<key> | string, 24 h | what an Idempotency-Key stands for |
| lock:<name> | string, PX | token of the holder |
| stats, stats:<slot> | hash; hash, 1 h | counters and histograms for ever; of ten seconds |
| meta | hash | the last survey of maintenance, the reaper's last tick, and from when on it may reap |
| tick:<duty> | string, PX | who does this maintenance tick |

Without a tag: `<namespace>:meta` (hash: shards, and those of versions.py), read before the shards are known.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable

from ironforge.job import JobStatus

CLUSTER_SLOTS = 16_384
INDEXES: tuple[str, ...] = (*(status.value for status in JobStatus), "suspects")
BUCKETS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 1800000)
SLOT_MS = 10_000


def shard_tag(shard: int, shards: int) -> str:
    """The hash tag of a shard: the first candidate whose slot lies in the shard's share of the Cluster's slots."""
    low, high = shard * CLUSTER_SLOTS // shards, (shard + 1) * CLUSTER_SLOTS // shards
    candidate = 0
    while True:
        tag = f"{shard}" if candidate == 0 else f"{shard}.{candidate}"
        if low <= crc_hqx(tag.encode(), 0) % CLUSTER_SLOTS < high:
            return tag
        candidate += 1


def shard_of_name(name: str, shards: int) -> int:
    """The shard of a queue, an Idempotency-Key or a lock: a queue never moves, so this never changes."""
    return 0 if shards == 1 else crc_hqx(name.encode(), 0) % shards


def by_shard(names: Iterable[str], shards: int) -> dict[int, list[str]]:
    """The names that live in each shard, in their order; shards without one are left out."""
    found: dict[int, list[str]] = {}
    for name in names:
        found.setdefault(shard_of_name(name, shards), []).append(name)
    return found


class Keys:
    """Key names of one shard."""

    def __init__(self, namespace: str, shard: int = 0, shards: int = 1) -> None:
        self.namespace = namespace
        self.prefix = f"{namespace}:{{{shard_tag(shard, shards)}}}:"
        self.queues = self.prefix + "queues"
        self.workers = self.prefix + "workers"
        self.stats = self.prefix + "stats"
        self.meta = self.prefix + "meta"
        self.dead_groups = self.prefix + "dead:groups"

    def job(self, job_id: str) -> str:
        return f"{self.prefix}job:{job_id}"

    def index(self, queue: str, part: str) -> str:
        return f"{self.prefix}q:{queue}:{part}"

    def settings(self, queue: str) -> str:
        return f"{self.prefix}q:{queue}:settings"

    def wake(self, queue: str) -> str:
        return f"{self.prefix}q:{queue}:wake"

    def worker(self, wid: str) -> str:
        return f"{self.prefix}worker:{wid}"

    def claims(self, wid: str) -> str:
        return f"{self.prefix}worker:{wid}:claims"

    def orders(self, wid: str) -> str:
        return f"{self.prefix}worker:{wid}:orders"

    def dead_group(self, fingerprint: str) -> str:
        return f"{self.prefix}dead:group:{fingerprint}"

    def idempotency(self, key: str) -> str:
        return f"{self.prefix}idem:{key}"

    def stats_slot(self, slot: int) -> str:
        return f"{self.prefix}stats:{slot}"

    def tick(self, duty: str) -> str:
        return f"{self.prefix}tick:{duty}"


def namespace_meta(namespace: str) -> str:
    return f"{namespace}:meta"
