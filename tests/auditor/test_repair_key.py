"""repair_key.lua: exactly what is done to a queue, a worker, an error group or a key, and nothing else."""

from __future__ import annotations

import pytest

from ironforge.queue.backend import RedisQueue
from tests.auditor.hand import BAND, PLACES, T, call, clear, everything, healthy, worker, write

_WOKEN = "ZADD q:q1:wake 1 ready"


async def _repair(queue: RedisQueue, kind: str, name: str, limit: int = 1000) -> list[str]:
    """What is done, in words; the same is told first, and that changes nothing."""
    before = await everything(queue)
    told = await call(queue, "repair_key", "tell", kind, name, limit)
    assert await everything(queue) == before
    assert await call(queue, "repair_key", "do", kind, name, limit) == told
    return told


# What there is, what is said, and the very commands that it comes to.
Row = tuple[list[str], list[str], list[str]]

_ALONE = (["may claim again"], ["HDEL worker:w1 alone"])
_ORDER = (["order withdrawn: cancel:J"], ["SREM worker:w1:orders cancel:J"])
_RUNS = healthy("running")
_WORKERS: list[Row] = [
    (worker("w1"), [], []),
    ([], [], []),
    (["ZADD workers 1 w2"], [], []),
    ([*worker("w1"), "HSET worker:w1 alone J"], *_ALONE),
    ([*worker("w1"), "HSET worker:w1 alone J", "SADD worker:w1:orders J"], *_ALONE),
    ([*worker("w1"), "HSET worker:w1 alone J", "SADD worker:w1:claims J"], [], []),
    ([*worker("w1"), "SADD worker:w1:orders stop xcancel:J"], [], []),
    ([*worker("w1"), "SADD worker:w1:orders cancel:J stop"], *_ORDER),
    ([*_RUNS, "SADD worker:w1:orders cancel:J"], [], []),
    ([*_RUNS, "SADD worker:w1:orders cancel:J stop", "HSET job:J worker w2"], *_ORDER),
    ([*_RUNS, "SADD worker:w1:orders cancel:J stop", "HSET job:J status queued"], *_ORDER),
    ([*worker("w1"), "SET job:J x", "SADD worker:w1:orders cancel:J stop"], *_ORDER),
    ([*worker("w1"), "SET worker:w1:orders x"], [], []),
    ([f"ZADD workers {T} w1", "SET worker:w1 x"], [], []),
]  # fmt: skip
_SET = "sequence set"
_ANEW = ["wake mark made anew", "idle workers woken"]
_HIGH = [(part, rank) for part in ("queued", "suspects") for rank in range(4)]


def _sequence(value: int) -> tuple[list[str], list[str]]:
    return [_SET], [f"HSET q:q1:settings sequence {value}"]


_QUEUES: list[Row] = [
    (["SADD queues q1"], [], []),
    ([], ["made known"], ["SADD queues q1"]),
    (["SET queues x"], [], []),
    *((["SADD queues q1", f"ZADD q:q1:{part} {rank * BAND + 9} a {rank * BAND + 5} b", "HSET q:q1:settings sequence 8"], *_sequence(9)) for part, rank in _HIGH),
    *((["SADD queues q1", f"ZADD q:q1:{part} {rank * BAND + 9} a", "HSET q:q1:settings sequence 9"], [], []) for part, rank in _HIGH),
    (["SADD queues q1", "ZADD q:q1:queued 1 a"], *_sequence(1)),
    (["SADD queues q1", "HSET q:q1:settings sequence x"], *_sequence(0)),
    (["SADD queues q1", f"HSET q:q1:settings sequence {BAND}"], *_sequence(0)),
    (["SADD queues q1", f"HSET q:q1:settings sequence {BAND - 1}"], [], []),
    (["SADD queues q1", "SET q:q1:settings x"], [], []),
    (["SADD queues q1", "ZADD q:q1:wake 1 ready"], [], []),
    (["SADD queues q1", "ZADD q:q1:wake 1 other"], _ANEW, ["DEL q:q1:wake", _WOKEN]),
    (["SADD queues q1", "ZADD q:q1:wake 1 other 1 ready"], _ANEW, ["DEL q:q1:wake", _WOKEN]),
    (["SADD queues q1", "ZADD q:q1:wake 1 other 9 ready"], _ANEW, ["DEL q:q1:wake", _WOKEN]),
    (["SADD queues q1", "ZADD q:q1:wake 1 other", "HSET q:q1:settings paused 1"], _ANEW, ["DEL q:q1:wake"]),
    (["SADD queues q1", "SET q:q1:wake x"], [], []),
]  # fmt: skip
_GROUPS: list[Row] = [
    ([], [], []),
    (["ZADD dead:group:f 1 a 1 b", "ZADD dead:groups 2 f"], [], []),
    (["ZADD dead:group:f 1 a 1 b", "ZADD dead:groups 3 f 1 g"], ["counted again: 2"], ["ZADD dead:groups 2 f"]),
    (["ZADD dead:group:f 1 a"], ["counted again: 1"], ["ZADD dead:groups 1 f"]),
    (["ZADD dead:groups 1 f 1 g"], ["counted again: 0"], ["ZREM dead:groups f"]),
    (["ZADD dead:groups 0 f 1 g"], ["counted again: 0"], ["ZREM dead:groups f"]),
    (["SET dead:groups x", "ZADD dead:group:f 1 a"], [], []),
    (["SET dead:group:f x", "ZADD dead:groups 1 f"], [], []),
]  # fmt: skip
_LASTING: list[Row] = [
    ([], [], []),
    (["SET k x"], [], []),
    (["SET k x PX 90000"], ["made to stay"], ["PERSIST k"]),
]
_STAYS = [*healthy("queued"), "SADD kinds greet"]
_LEDGER: list[Row] = [
    ([], [], []),
    ([*_STAYS, "HSET stats submitted|greet|2 1"], [], []),
    ([*_STAYS, "HSET stats submitted|greet|2 9 removed 3 corrected 1"], ["4 entered as missing"], ["HINCRBY stats corrected 4"]),
    ([*_STAYS, "HSET stats submitted|greet|2 9 removed 9"], ["-1 entered as missing"], ["HINCRBY stats corrected -1"]),
    (["SADD queues a b c d", "HSET stats submitted|other|2 9"], [], []),  # too many to add up
    (["SADD queues a b c", "HSET stats submitted|other|2 9"], ["9 entered as missing"], ["HSET stats corrected 9"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "limit", "given", "words", "fix"),
    [
        *(("worker", "w1", 0, *row) for row in _WORKERS),
        *(("queue", "q1", 0, *row) for row in _QUEUES),
        *(("group", "f", 0, *row) for row in _GROUPS),
        *(("lasting", "k", 0, *row) for row in _LASTING),
        *(("ledger", "ledger", 3, *row) for row in _LEDGER),
    ],
)
async def test_what_is_done(
    queue: RedisQueue, kind: str, name: str, limit: int, given: list[str], words: list[str], fix: list[str]
) -> None:
    await write(queue, *given)
    assert await _repair(queue, kind, name, limit) == words
    repaired = await everything(queue)
    await clear(queue)
    await write(queue, *given, *fix)
    wanted = await everything(queue)
    assert repaired == wanted


async def test_of_very_many_orders_a_thousand_are_withdrawn(queue: RedisQueue) -> None:
    orders = " ".join(f"cancel:{at}" for at in range(1002))
    await write(queue, *worker("w1"), f"SADD worker:w1:orders {orders}")
    assert len(await call(queue, "repair_key", "do", "worker", "w1", 0)) == 1000
    assert len((await everything(queue))["worker:w1:orders"]) == 2


async def test_a_key_that_has_to_end_gets_its_limit(queue: RedisQueue) -> None:
    await write(queue, "SET k x")
    assert await _repair(queue, "timed", "k", 90_000) == ["will end"]
    left = await queue.client.pttl(queue.keys.prefix + "k")
    assert 60_000 < left <= 90_000
    assert await _repair(queue, "timed", "k", 500_000) == []
    assert await queue.client.pttl(queue.keys.prefix + "k") <= left
    assert await _repair(queue, "timed", "none", 90_000) == []


_FORGOTTEN = "forgotten, for it has no lease; its jobs handed back as lapsed"


@pytest.mark.parametrize(
    "left",
    [
        "HSET worker:w1 host h",
        "HSET worker:w1 alone J",
        "SADD worker:w1:orders cancel:J",
        "SADD worker:w1:claims gone",
        "SADD worker:w1:orders stop",
    ],
)
async def test_a_worker_without_a_lease_is_forgotten(queue: RedisQueue, left: str) -> None:
    await write(queue, left)
    assert await _repair(queue, "worker", "w1") == [_FORGOTTEN]
    assert await everything(queue) == {"stats": {b"workers_lapsed": b"1"}}
    assert await _repair(queue, "worker", "w1") == []


async def test_its_jobs_go_back(queue: RedisQueue) -> None:
    await write(queue, *healthy("running"), "ZREM workers w1", "ZADD workers 1 w2")
    assert await _repair(queue, "worker", "w1") == [_FORGOTTEN]
    state = await everything(queue)
    assert (state["job:J"][b"status"], state["job:J"][b"lapses"]) == (b"queued", b"1")
    assert state["q:q1:queued"] == {b"J": 2 * BAND + 7} and state["q:q1:wake"] == {b"ready": 1}
    assert not state.keys() & {"worker:w1", "worker:w1:claims", "q:q1:running"}
    assert b'"WorkerLost"' in state["job:J"][b"attempt:1"]


@pytest.mark.parametrize(
    "key", [*(f"q:q1:{place}" for place in PLACES), "worker:w1:claims", "stats", "kinds"]
)
async def test_a_worker_stays_where_a_key_of_another_type_is_on_the_way(queue: RedisQueue, key: str) -> None:
    await write(queue, *healthy("running"), "ZREM workers w1", f"DEL {key}", f"SET {key} x")
    before = await everything(queue)
    assert await _repair(queue, "worker", "w1") == []
    assert await everything(queue) == before
