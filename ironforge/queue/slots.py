"""Which key of a command says where it goes in a Redis Cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SLOTS = 16_384
_WITHOUT_KEY = frozenset((
    "ACL", "ASKING", "BGREWRITEAOF", "BGSAVE", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "DEBUG", "DISCARD",
    "ECHO", "EXEC", "FLUSHALL", "FLUSHDB", "FUNCTION", "INFO", "KEYS", "LASTSAVE", "LATENCY", "MODULE", "MULTI", "PING",
    "RANDOMKEY", "READONLY", "ROLE", "SAVE", "SCAN", "SCRIPT", "SHUTDOWN", "SLOWLOG", "TIME", "UNWATCH", "WAIT",
    "WAITAOF",
))  # fmt: skip
# Where the first key stands, if not right behind the name.
_PLACES = {"EVAL": 3, "EVALSHA": 3, "MEMORY": 2, "OBJECT": 2, "XINFO": 2}


def key_of(command: Sequence[Any]) -> bytes | None:
    """The first key; None for a command without one. Our scripts have one, the prefix of their shard."""
    parts = [
        *str(command[0]).upper().split(" "),
        *command[1:],
    ]  # redis-py writes some names of two words as one
    place = _PLACES.get(parts[0], 1)
    if parts[0] in _WITHOUT_KEY or place >= len(parts) or (place == 3 and int(parts[2]) == 0):
        return None
    key = parts[place]
    return key if isinstance(key, bytes) else str(key).encode()
