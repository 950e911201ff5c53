"""inspect_key.lua and read_ledger.lua: exactly what is said of a key that is no job, and nothing of one that is well."""

from __future__ import annotations

import pytest

from ironforge.queue.backend import RedisQueue
from tests.auditor.hand import BAND, PLACES, T, call, worker, write

Told = list[tuple[str, str]]  # rule, words
_LATE_MS = 3_000


async def inspect(queue: RedisQueue, kind: str, *arguments: str) -> list[tuple[str, ...]]:
    """What is said: subject, rule, words."""
    reply = await call(queue, "inspect_key", kind, _LATE_MS, *arguments)
    return list(zip(*[iter(reply)] * 3, strict=True))


@pytest.mark.parametrize(
    ("commands", "type_", "timed", "told"),
    [
        ([], "string", "", []),
        ([], "string", "timed", []),
        (["SET k x"], "string", "", []),
        (["SET k x"], "hash", "", [("damaged", "string")]),
        (["SET k x PX 90000"], "hash", "", [("damaged", "string")]),
        (["SET k x"], "string", "timed", [("no_ttl", "")]),
        (["SET k x PX 90000"], "string", "timed", []),
        (["SET k x PX 90000"], "string", "", [("expires", "")]),
    ],
)
async def test_a_key(queue: RedisQueue, commands: list[str], type_: str, timed: str, told: Told) -> None:
    await write(queue, *commands)
    assert await inspect(queue, "key", "k", type_, timed) == [("k", *one) for one in told]


async def test_every_key_of_a_call_is_looked_at(queue: RedisQueue) -> None:
    await write(queue, "SET a x", "SET b x", "HSET c f 1", "SET hash x")
    assert await inspect(queue, "key", "a", "hash", "", "b", "string", "timed", "c", "hash", "", "a", "set", "") == [
        ("a", "damaged", "string"), ("b", "no_ttl", ""), ("a", "damaged", "string"),
    ]  # fmt: skip
    assert await inspect(queue, "worker", "w1", "w2") == []
    await write(queue, "SADD worker:w1:claims x", "SADD worker:w2:claims x")
    assert await inspect(queue, "worker", "w1", "w2") == [("w1", "orphan", ""), ("w2", "orphan", "")]


_RUNS = ["HSET job:J status running worker w1", "SADD worker:w1:claims J"]
_WORKERS: list[tuple[list[str], Told]] = [
    (worker("w1"), []),
    (["HSET worker:w1 host h"], [("orphan", "")]),
    (["SADD worker:w1:claims x"], [("orphan", "")]),
    (["SADD worker:w1:orders cancel:x"], [("orphan", "")]),
    (["HSET worker:w1 alone J", "SADD worker:w1:claims J", "SADD worker:w1:orders stop"], [("orphan", "")]),
    ([f"ZADD workers {T} w1"], [("worker", "")]),
    ([*worker("w1"), "HSET worker:w1 alone J"], [("alone", "J")]),
    ([*worker("w1"), "HSET worker:w1 alone J", "SADD worker:w1:claims J"], []),
    ([*worker("w1"), "HSET worker:w1 alone J", "SADD worker:w1:orders J"], [("alone", "J")]),
    ([*worker("w1"), "SADD worker:w1:orders stop quiet"], []),
    ([*worker("w1"), "SADD worker:w1:orders cancel:J"], [("stale_order", "cancel:J")]),
    ([*worker("w1"), "SADD worker:w1:orders xcancel:J"], []),
    ([*worker("w1"), *_RUNS, "SADD worker:w1:orders cancel:J"], []),
    ([*worker("w1"), *_RUNS, "SADD worker:w1:orders cancel:J", "HSET job:J worker w2"], [("stale_order", "cancel:J")]),
    ([*worker("w1"), *_RUNS, "SADD worker:w1:orders cancel:J", "HSET job:J status dead"], [("stale_order", "cancel:J")]),
    ([*worker("w1"), "SET job:J x", "SADD worker:w1:orders cancel:J"], [("stale_order", "cancel:J")]),
    ([*worker("w1"), "SET worker:w1:orders x"], []),
    ([f"ZADD workers {T} w1", "SET worker:w1 x"], []),  # its type is said of the key
]  # fmt: skip


@pytest.mark.parametrize(("commands", "told"), _WORKERS)
async def test_a_worker(queue: RedisQueue, commands: list[str], told: Told) -> None:
    await write(queue, *commands)
    assert await inspect(queue, "worker", "w1") == [("w1", *one) for one in told]


async def test_of_very_many_orders_a_thousand_are_looked_at(queue: RedisQueue) -> None:
    await write(
        queue, *worker("w1"), "SADD worker:w1:orders " + " ".join(f"cancel:{at}" for at in range(1002))
    )
    assert len(await inspect(queue, "worker", "w1")) == 1000


# A job of each rank in this list, the one of this rank with the highest sequence.
_HIGH = [
    f"ZADD q:q1:{part} {rank * BAND + 9} high "
    + " ".join(f"{other * BAND + 5} j{other}" for other in range(4))
    for part in ("queued", "suspects")
    for rank in range(4)
]
_QUEUES: list[tuple[list[str], Told]] = [
    ([], []),
    (["DEL queues"], [("unknown_queue", "")]),
    *(([high, "HSET q:q1:settings sequence 9"], []) for high in _HIGH),
    *(([high, "HSET q:q1:settings sequence 8"], [("sequence", "8, and 9 is in use")]) for high in _HIGH),
    (["ZADD q:q1:queued 9 a", f"ZADD q:q1:suspects {BAND + 8} b"], [("sequence", "none, and 9 is in use")]),
    (["ZADD q:q1:queued 1 a"], [("sequence", "none, and 1 is in use")]),
    (["ZADD q:q1:suspects 1 a"], [("sequence", "none, and 1 is in use")]),
    *(([f"ZADD q:q1:queued {rank * BAND + BAND - 1} a"], [("sequence", f"none, and {BAND - 1} is in use")]) for rank in (0, 3)),
    *(([f"ZADD q:q1:queued {rank * BAND} a"], []) for rank in range(6)),
    (["ZADD q:q1:queued -5 a", f"ZADD q:q1:suspects {4 * BAND + 4} a"], []),  # no score of a job that is ready
    (["ZADD q:q1:scheduled 9 a", "ZADD q:q1:dead 9 b"], []),
    (["SET q:q1:queued x", "SET q:q1:suspects x"], []),
    (["HSET q:q1:settings sequence x"], [("sequence", "x, and 0 is in use")]),
    (["HSET q:q1:settings sequence x", "ZADD q:q1:queued 1 a"], [("sequence", "x, and 1 is in use")]),
    ([f"HSET q:q1:settings sequence {BAND}"], [("sequence", f"{BAND}, and 0 is in use")]),
    ([f"HSET q:q1:settings sequence {BAND - 1}"], []),
    (["ZADD q:q1:wake 1 ready"], []),
    (["ZADD q:q1:wake 1 other"], [("wake", "")]),
    (["ZADD q:q1:wake 1 ready 1 other"], [("wake", "")]),
    (["ZADD q:q1:wake 9 ready 1 other"], [("wake", "")]),
    (["SET q:q1:wake x"], []),
]  # fmt: skip


@pytest.mark.parametrize(("commands", "told"), _QUEUES)
async def test_a_queue(queue: RedisQueue, commands: list[str], told: Told) -> None:
    await write(queue, "SADD queues q1", *commands)
    assert await inspect(queue, "queue", "q1") == [("q1", *one) for one in told]


_HEADS: list[tuple[int, int, str, bool]] = [
    *((60_000, 10_000, part, True) for part in ("scheduled", "retrying")),
    *((60_000, 2_000, part, False) for part in ("scheduled", "retrying")),
    (-60_000, 10_000, "scheduled", False),  # nobody lives who should see it
    *((60_000, 10_000, part, False) for part in PLACES if part not in ("scheduled", "retrying")),
]  # fmt: skip


@pytest.mark.parametrize(("lease_ms", "late_ms", "part", "overdue"), _HEADS)
async def test_a_head_that_is_due(
    queue: RedisQueue, lease_ms: int, late_ms: int, part: str, overdue: bool
) -> None:
    now = await queue.now_ms()
    await write(queue, "SADD queues q1", "HSET q:q1:settings sequence 1000000000000000")
    await write(
        queue,
        f"ZADD q:q1:{part} {now + 90_000} later {now - late_ms} head",
        f"ZADD workers {now + lease_ms} w1",
    )
    told = [("q1", "overdue", f"{part}: head")] if overdue else []
    assert [one for one in await inspect(queue, "queue", "q1") if one[1] != "sequence"] == told


async def test_heads_of_both_lists_and_of_none(queue: RedisQueue) -> None:
    await write(queue, "SADD queues q1", *worker("w1"), "SET q:q1:scheduled x", "ZADD q:q1:retrying 1 a")
    assert await inspect(queue, "queue", "q1") == [("q1", "overdue", "retrying: a")]
    await write(queue, "DEL q:q1:scheduled", "ZADD q:q1:scheduled 1 b", "DEL workers", "SET workers x")
    assert [one[2] for one in await inspect(queue, "queue", "q1")] == ["scheduled: b", "retrying: a"]


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        ([], []),
        (["ZADD dead:group:f 1 a 1 b", "ZADD dead:groups 2 f"], []),
        (["ZADD dead:group:f 1 a 1 b", "ZADD dead:groups 1 f"], ["counts 1 and holds 2"]),
        (["ZADD dead:group:f 1 a"], ["counts 0 and holds 1"]),
        (["ZADD dead:groups 1 f"], ["counts 1 and holds 0"]),
        (["ZADD dead:groups 0 f"], ["counts 0 and holds 0"]),
        (["SET dead:group:f x", "ZADD dead:groups 1 f"], ["counts 1 and holds 0"]),
        (["SET dead:group:f x"], []),
        (["SET dead:groups x", "ZADD dead:group:f 1 a"], ["counts 0 and holds 1"]),
    ],
)
async def test_a_group(queue: RedisQueue, commands: list[str], told: list[str]) -> None:
    await write(queue, *commands)
    assert await inspect(queue, "group", "f") == [("f", "group_count", one) for one in told]


@pytest.mark.parametrize(
    ("tick", "after", "lease", "unreaped"),
    [
        (-1_000, -9_000, -9_000, True),
        (-4_500, -9_000, -9_000, True),
        (-5_500, -9_000, -9_000, False),  # no reaper lives
        (-1_000, -9_000, -1_000, False),
        (-1_000, -1_000, -9_000, False),  # everybody got a lease to come back
        (-1_000, -9_000, 9_000, False),
        (-1_000, None, -9_000, False),
        (None, -9_000, -9_000, False),
    ],
)
async def test_the_reaper(
    queue: RedisQueue, tick: int | None, after: int | None, lease: int, unreaped: bool
) -> None:
    now = await queue.now_ms()
    fields = [f"HSET meta {name} {now + value}" for name, value in (("reap_tick", tick), ("reap_after", after)) if value is not None]  # fmt: skip
    await write(queue, f"ZADD workers {now + lease} w1 {now + 90_000} w2", *fields)
    assert await inspect(queue, "reaper") == ([("w1", "unreaped", "")] if unreaped else [])


async def test_a_reaper_that_has_nobody_to_reap(queue: RedisQueue) -> None:
    now = await queue.now_ms()
    await write(queue, f"HSET meta reap_tick {now} reap_after 1")
    assert await inspect(queue, "reaper") == []
    await write(queue, "SET workers x")
    assert await inspect(queue, "reaper") == []
    await write(queue, "DEL workers", "ZADD workers 1 w1", "DEL meta", "SET meta x")
    assert await inspect(queue, "reaper") == []


async def test_the_ledger(queue: RedisQueue) -> None:
    """Each list counts, each priority, and each kind with a label of its own and the rest; nothing else does."""
    assert await call(queue, "read_ledger", 2) == [0, 0, 0, 0]
    submitted = [
        "a|0 1",
        "a|1 2",
        "a|2 4",
        "a|3 8",
        "b|2 16",
        "other|0 32",
        "other|3 64",
        "c|2 999",
        "a|4 999",
        "a|-1 999",
    ]
    await write(
        queue, "SADD queues q1", "SADD kinds a b", "HSET stats removed 3 corrected 5 completed|a 77",
        *(f"HSET stats submitted|{one}" for one in submitted),
    )  # fmt: skip
    for at, place in enumerate(PLACES):
        await write(queue, f"ZADD q:q1:{place} " + " ".join(f"1 {n}" for n in range(2**at)))
    await write(
        queue, "ZADD q:q2:queued " + " ".join(f"1 x{n}" for n in range(256)), "ZADD q:q1:wake 1 ready"
    )
    assert await call(queue, "read_ledger", 2) == [127, 255, 3, 5]
    assert await call(queue, "read_ledger", 2, "q2") == [127, 511, 3, 5]
    assert await call(queue, "read_ledger", 2, "q1") == [127, 255, 3, 5]


async def test_with_too_many_queues_no_ledger_is_added_up(queue: RedisQueue) -> None:
    await write(queue, "SADD queues q1 q2")
    assert await call(queue, "read_ledger", 2) == [0, 0, 0, 0]
    assert await call(queue, "read_ledger", 3, "q3") == [0, 0, 0, 0]
    assert await call(queue, "read_ledger", 2, "q3") == []
    assert await call(queue, "read_ledger", 1) == []
