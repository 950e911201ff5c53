"""Every key of the table in keys.py is known to the auditor, with its type and what bounds it."""

from __future__ import annotations

import re

import pytest

from ironforge.queue import keys
from ironforge.queue.keyspace import kind_of


def _names() -> list[tuple[str, str, bool]]:
    """Each key of the table with example names, its type, and whether it ends by itself."""
    rows = [line.split(" | ") for line in (keys.__doc__ or "").splitlines() if line.startswith("| ")]
    found: list[tuple[str, str, bool]] = []
    for names, types, *_ in (row for row in rows[1:] if len(row) > 1):
        words = [word for word in re.split(r"[,;] ", types) if word in ("hash", "set", "zset", "string")]
        parts = names.removeprefix("| ").split(", ")
        for at, part in enumerate(parts):
            name = (
                parts[0].rpartition(":")[0] + part
                if part.startswith(":") and parts[0].startswith("q:")
                else part
            )
            name = parts[0] + part if part.startswith(":") and parts[0].startswith("worker:") else name
            name = re.sub(r"<\w+>", "one", name)
            timed = name.split(":")[0] in ("idem", "lock", "tick") or name.startswith("stats:")
            found.append((name, words[at] if len(words) > 1 else words[0], timed))
    return found


@pytest.mark.parametrize(("name", "type_", "timed"), _names())
def test_each_key_is_known(name: str, type_: str, timed: bool) -> None:
    kind = kind_of(name)
    assert kind and kind.type == type_ and (kind.ttl_ms > 0) == timed, (name, kind)


@pytest.mark.parametrize(
    "name", ["", "job:", "q:default", "q:default:other", "notes", "dead:group:", "idem:", "worker:"]
)
def test_others_are_not(name: str) -> None:
    assert kind_of(name) is None
