"""The whole server's state as plain data, kept up to date by what the server says was written."""

from __future__ import annotations

import re
from typing import Any

from tests.model.clocked import CLOCK_KEY, NAMESPACE
from tests.model.wire import EVERY_KEY, Wire

PREFIX = f"{NAMESPACE}:{{0}}:".encode()
CLOCK = PREFIX + CLOCK_KEY.encode()

# How a key is read, by its name (after the prefix). One of another type than its name says reads as `(type,)`.
_READ_AS: tuple[tuple[bytes, str], ...] = (
    (rb"job:.+|worker:[^:]+|q:[^:]+:settings|stats(:\d+)?|meta", "hash"),
    (rb"q:[^:]+:(queued|suspects|scheduled|retrying|running|completed|dead|cancelled|wake)", "zset"),
    (rb"workers|dead:groups|dead:group:.+", "zset"),
    (rb"queues|kinds|worker:[^:]+:(claims|orders)", "set"),
    (rb"(idem|lock|tick|test):.+", "string"),
)
_NAMES = tuple((re.compile(pattern), kind) for pattern, kind in _READ_AS)
_FETCH = {
    "hash": lambda key: ("HGETALL", key),
    "zset": lambda key: ("ZRANGE", key, 0, -1, "WITHSCORES"),
    "set": lambda key: ("SMEMBERS", key),
    "string": lambda key: ("GET", key),
}


def kind_of(name: bytes) -> str | None:
    """The type a key of ours has, None for a name we do not know."""
    for pattern, kind in _NAMES:
        if pattern.fullmatch(name):
            return kind
    return None


class Mirror:
    """Every key of the server.

    Hashes are dicts, sorted sets lists of [member, score], sets frozensets, strings bytes. Keys of the namespace stand
    without its prefix, others (there should be none) as they are. The clock of the tests is left out.

    Attributes:
        keys: name -> value.
        ttls: name -> ms left when it was last written, for keys that have an end.
        before: what the keys changed by the last `refresh` held before; None for those that were not there.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._kinds: dict[bytes, str | None] = {}
        self.keys: dict[bytes, Any] = {}
        self.ttls: dict[bytes, int] = {}
        self.before: dict[bytes, Any] = {}

    def refresh(self) -> None:
        """Reads again what was written since the last time."""
        self.before = {}
        while True:
            changed, self._wire.changed = self._wire.changed, set()
            if EVERY_KEY in changed:
                raise AssertionError("a flush; reset() the mirror instead")
            changed.discard(CLOCK)
            self._fetch(changed)
            if not self._wire.changed:
                return

    def reset(self) -> None:
        """For a server just flushed."""
        self._wire.changed = set()
        self.keys, self.ttls, self.before = {}, {}, {}

    def read_all(self) -> tuple[dict[bytes, Any], dict[bytes, int]]:
        """Everything, read afresh: what `keys` and `ttls` should be."""
        fresh = Mirror(self._wire)
        fresh._fetch(set(self._wire.command("KEYS", "*")) - {CLOCK})
        return fresh.keys, fresh.ttls

    def _fetch(self, full_names: set[bytes]) -> None:
        calls: list[tuple[Any, ...]] = [("DBSIZE",)]
        wanted: list[tuple[bytes, str]] = []
        for full in full_names:
            kind = self._kind(full)
            wanted.append((full, kind))
            calls += (_FETCH[kind](full), ("PTTL", full))
        size, *replies = self._wire.commands(calls)
        for at, (full, kind) in enumerate(wanted):
            self._put(full, kind, replies[2 * at], replies[2 * at + 1])
        if not self._wire.changed and size not in (len(self.keys), len(self.keys) + 1):
            raise AssertionError(f"the server holds {size} keys, the mirror {len(self.keys)} and the clock")

    def _kind(self, full: bytes) -> str:
        if full not in self._kinds:
            self._kinds[full] = kind_of(full.removeprefix(PREFIX)) if full.startswith(PREFIX) else None
        return self._kinds[full] or self._wire.command("TYPE", full).decode().replace("none", "string")

    def _put(self, full: bytes, kind: str, value: Any, ttl: int) -> None:
        name = full.removeprefix(PREFIX) if full.startswith(PREFIX) else full
        self.before.setdefault(name, self.keys.get(name))
        if isinstance(value, Exception):
            value = (self._wire.command("TYPE", full),)
        elif kind == "set":
            value = frozenset(value)
        if value is None or (not value and kind != "string"):
            self.keys.pop(name, None)
            self.ttls.pop(name, None)
            return
        self.keys[name] = value
        if ttl >= 0:
            self.ttls[name] = ttl
        else:
            self.ttls.pop(name, None)
