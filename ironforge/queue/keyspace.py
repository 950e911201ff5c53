"""What each key of a shard is, by its name: its type, and what bounds how many there may be. See the table in keys.py."""

from __future__ import annotations

from typing import NamedTuple

from ironforge.queue.keys import INDEXES

DAY_MS = 86_400_000
_ONE_EACH = {
    "queues": "set",
    "kinds": "set",
    "workers": "zset",
    "dead:groups": "zset",
    "stats": "hash",
    "meta": "hash",
}
# The time limit that one gets which lost its own.
_TIMED = {
    "idem:": ("string", DAY_MS),
    "lock:": ("string", 60_000),
    "tick:": ("string", 60_000),
    "stats:": ("hash", 3_600_000),
}
_PARTS_OF_QUEUES = {**dict.fromkeys((*INDEXES, "wake"), "zset"), "settings": "hash"}
_PARTS_OF_WORKERS = {"claims": "set", "orders": "set"}


class KeyKind(NamedTuple):
    """What a key is.

    Attributes:
        owner: "job", "queue", "worker", "group", "shard" (one of each) or "timed" (ends by itself).
        name: of its owner.
        type: as TYPE says it.
        ttl_ms: the time limit that one of the timed has at most, 0 for those that stay.
    """

    owner: str
    name: str
    type: str
    ttl_ms: int = 0


def kind_of(key: str) -> KeyKind | None:
    """Of a key's name without the shard's prefix; None for one that nothing of ours writes."""
    if key in _ONE_EACH:
        return KeyKind("shard", key, _ONE_EACH[key])
    for before, (type_, ttl_ms) in _TIMED.items():
        if key.startswith(before) and len(key) > len(before):
            return KeyKind("timed", key.removeprefix(before), type_, ttl_ms)
    owner, _, rest = key.partition(":")
    name, _, part = rest.rpartition(":")
    if owner == "job" and rest:
        return KeyKind("job", rest, "hash")
    if owner == "q" and name and part in _PARTS_OF_QUEUES:
        return KeyKind("queue", name, _PARTS_OF_QUEUES[part])
    if owner == "worker" and rest:
        if name and part in _PARTS_OF_WORKERS:
            return KeyKind("worker", name, _PARTS_OF_WORKERS[part])
        return KeyKind("worker", rest, "hash")
    if key.startswith("dead:group:") and len(key) > len("dead:group:"):
        return KeyKind("group", key.removeprefix("dead:group:"), "zset")
    return None
