"""What of a Redis needs a person, rule by rule; and several servers count as the worst of them in each respect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ironforge.errors import StartupError
from ironforge.queue.durability import (
    INFO_REFUSED,
    Disk,
    Node,
    concerns,
    online_replicas,
    refuse_undurable,
    weakest,
)
from ironforge.queue.readings import Health

NOW = 1_800_000_000_000
WELL = Health(
    "redis 7.0.15", "7.0.15", "everysec", "noeviction", 0.1, 1, 0, NOW, persistence="appendonly yes"
)
DISK = Disk(appendonly=True, appendfsync="everysec", failing=False)


def _found(here_ms: int = NOW, **changed: Any) -> list[tuple[str, str]]:
    return [(one.rule, one.severity) for one in concerns(replace(WELL, **changed), here_ms)]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({"policy": INFO_REFUSED}, [("eviction", "warn")]),
        ({"policy": "allkeys-lru"}, [("eviction", "bad")]),
        ({"asked": "always"}, [("durability", "bad")]),
        ({"asked": "always", "durability": "always"}, []),
        ({"durability": "none", "persistence": "appendonly no"}, [("durability", "warn")]),
        ({"durability": "none", "persistence": "appendonly yes, appendfsync no"}, [("durability", "warn")]),
        ({"is_replica": True}, [("replica", "bad")]),
        ({"is_replica": True, "asked": "replicated"}, [("replica", "bad")]),
        ({"asked": "replicated"}, [("replicas", "bad")]),
        ({"asked": "replicated", "replicas": 1}, []),
        ({"failing": True}, [("disk", "bad")]),
        ({"used_memory": 899, "max_memory": 1000}, []),
        ({"used_memory": 900, "max_memory": 1000}, [("memory", "warn")]),
        ({"used_memory": 1000, "max_memory": 1000}, [("memory", "bad")]),
        ({"clock_ms": NOW + 5_001}, [("clock", "warn")]),
        ({"clock_ms": NOW - 5_001}, [("clock", "warn")]),
        ({"clock_ms": NOW + 5_000}, []),
    ],
    ids=str,
)
def test_each_rule_says_so_when_it_should_and_only_then(
    changed: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert _found(**changed) == found


@pytest.mark.parametrize(
    ("appendonly", "appendfsync", "word", "sentence"),
    [
        (None, None, "unknown", INFO_REFUSED),
        (False, "always", "none", "appendonly no"),
        (True, "no", "none", "appendonly yes, appendfsync no"),
        (True, None, "everysec", "appendonly yes, appendfsync unknown, since CONFIG GET is refused"),
        (True, "always", "always", "appendonly yes, appendfsync always"),
    ],
)
def test_the_class_of_a_disk(
    appendonly: bool | None, appendfsync: str | None, word: str, sentence: str
) -> None:
    disk = Disk(appendonly, appendfsync, failing=False)
    assert (disk.word, disk.sentence) == (word, sentence)


def test_one_server_is_as_it_is() -> None:
    one = Node({"maxmemory_policy": "allkeys-lru", "role": "master"}, DISK)
    assert weakest([one]) is one


def test_several_are_as_the_worst_of_them_in_each_respect() -> None:
    online = {"state": "online"}
    fine = {
        "maxmemory_policy": "noeviction", "used_memory": 10, "maxmemory": 100, "connected_slaves": 1, "slave0": online,
    }  # fmt: skip
    first = Node({**fine, "role": "master"}, DISK)
    full = Node({**fine, "role": "slave", "used_memory": 99}, DISK._replace(appendfsync="no"))
    alone = Node(
        {**fine, "role": "master", "maxmemory_policy": "allkeys-lru", "maxmemory": 0, "connected_slaves": 0},
        DISK._replace(failing=True),
    )
    info, disk = weakest([first, full, alone])
    assert (info["used_memory"], info["maxmemory"], info["role"]) == (99, 100, "slave")
    assert (info["maxmemory_policy"], online_replicas(info)) == ("allkeys-lru", 0)
    assert (disk.word, disk.failing) == ("none", True)
    silent = Node({}, DISK._replace(appendonly=None))
    assert weakest([first, silent]).info == {} and weakest([first, silent]).disk.word == "unknown"


def test_a_replica_that_still_loads_does_not_count() -> None:
    loading = {"connected_slaves": 2, "slave0": {"state": "online"}, "slave1": {"state": "send_bulk"}}
    assert online_replicas(loading) == 1
    assert online_replicas({"connected_slaves": 2, "slave0": "?"}) == 0


@pytest.mark.parametrize(
    ("disk", "asked", "trusted", "words"),
    [
        (DISK, "local", False, ""),
        (DISK._replace(appendfsync="always"), "always", False, ""),
        (DISK, "always", True, "appendfsync everysec"),
        (Disk(appendonly=False, appendfsync=None, failing=False), "always", True, "appendonly no"),
        (DISK._replace(appendfsync=None), "always", False, "cannot be read"),
        (DISK._replace(appendfsync=None), "always", True, ""),
        (Disk(appendonly=None, appendfsync=None, failing=False), "always", False, "cannot be read"),
        (Disk(appendonly=None, appendfsync=None, failing=False), "always", True, ""),
    ],
)
def test_always_is_refused_where_it_does_not_hold(disk: Disk, asked: str, trusted: bool, words: str) -> None:
    """What can be read is never taken on trust."""
    if not words:
        refuse_undurable(asked, disk, allow_unsafe=trusted)
        return
    with pytest.raises(StartupError, match=words):
        refuse_undurable(asked, disk, allow_unsafe=trusted)
