"""repair.lua: exactly what is done to a job, and nothing else; a job that is well is left alone."""

from __future__ import annotations

import json
from hashlib import sha1

import pytest

from ironforge.queue.backend import RedisQueue
from tests.auditor.hand import BAND, DAY, PLACES, SEQUENCE, T, call, clear, everything, healthy, worker, write

_R = 2 * BAND
_NOWHERE = ("", "", "")
_CREATED = 1_600_000_000_000
_BY_TIME = _CREATED * 1000 - 1_577_836_800_000_000  # where a job of that time would stand
_WOKEN = "ZADD q:q1:wake 1 ready"
_WAKES = "idle workers woken"
_COUNTED = "group counted again"


async def _repair(queue: RedisQueue, where: tuple[str, str, str] = _NOWHERE) -> list[str]:
    """What is done, in words; the same is told first, and that changes nothing."""
    before = await everything(queue)
    told = await call(queue, "repair", "tell", "J", *where)
    assert await everything(queue) == before
    assert await call(queue, "repair", "do", "J", *where) == told
    return told


@pytest.mark.parametrize("place", PLACES)
async def test_a_job_that_is_well(queue: RedisQueue, place: str) -> None:
    await write(queue, *healthy(place))
    before = await everything(queue)
    assert await _repair(queue) == []
    assert await _repair(queue, ("q1", "w1", "f1")) == []
    assert await everything(queue) == before


def _moved(place: str, *others: str) -> list[str]:
    return [f"ZREM q:q1:{place} J", *(f"ZADD q:q1:{other} 5 J" for other in others)]


# Of each: the place, the damage, where it was met; what is said, and the very commands that it comes to.
Row = tuple[str, list[str], tuple[str, str, str], list[str], list[str]]


def _ready(rank: int, sequence: int, part: str = "queued") -> list[str]:
    raised = [f"HSET q:q1:settings sequence {sequence}"] if sequence > SEQUENCE else []
    return [f"ZADD q:q1:{part} {rank * BAND + sequence} J", _WOKEN, *raised]


_PLACED = [_WAKES, "placed in q1:queued"]
_RAISED = ["sequence raised", *_PLACED]
_QUEUED: list[Row] = [
    ("queued", [*_moved("queued"), f"HSET job:J created_at {_CREATED}"], _NOWHERE, _RAISED, _ready(2, _BY_TIME)),
    ("queued", [*_moved("queued"), f"HSET job:J created_at 5 run_at {_CREATED}"], _NOWHERE, _RAISED, _ready(2, _BY_TIME)),
    ("queued", [*_moved("queued"), "HSET job:J created_at 5"], _NOWHERE, _PLACED, _ready(2, 1)),
    ("queued", [*_moved("queued"), "HSET job:J created_at 1577836800000"], _NOWHERE, _PLACED, _ready(2, 1)),
    ("queued", [*_moved("queued"), "HSET job:J created_at 1577836800001"], _NOWHERE, _RAISED, _ready(2, 1000)),
    *(("queued", [f"HSET job:J priority {rank}", "ZADD q:q1:queued 4503599627370503 J"], _NOWHERE, _PLACED, _ready(rank, 7)) for rank in (0, 1, 3)),
    ("queued", [f"ZADD q:q1:queued {BAND + 6} J"], _NOWHERE, _PLACED, _ready(2, 6)),
    ("queued", [f"ZADD q:q1:queued {BAND + 8} J"], _NOWHERE, _RAISED, _ready(2, 8)),
    ("queued", [f"ZADD q:q1:queued {BAND + 1} J"], _NOWHERE, _PLACED, _ready(2, 1)),
    ("queued", ["HSET job:J priority 0 created_at 1577836800001", "ZADD q:q1:queued 0.5 J"], _NOWHERE, _RAISED, _ready(0, 1000)),
    ("queued", ["HSET job:J priority 0 created_at 1577836800001", "ZADD q:q1:queued 1.5 J"], _NOWHERE, _PLACED, _ready(0, 1)),
    ("queued", [f"ZADD q:q1:queued {BAND} J", "HSET job:J created_at 5"], _NOWHERE, _PLACED, _ready(2, 1)),
    ("queued", [*_moved("queued", "suspects"), "HSET job:J created_at 5"], _NOWHERE,
     ["removed from q1:suspects", *_PLACED], [*_ready(2, 1), "ZREM q:q1:suspects J"]),
    ("suspects", [*_moved("suspects", "queued"), "HSET job:J created_at 5"], _NOWHERE,
     ["removed from q1:queued", _WAKES, "placed in q1:suspects"], [*_ready(2, 1, "suspects"), "ZREM q:q1:queued J"]),
    ("queued", [*_moved("queued"), "HSET job:J created_at 5", "HSET q:q1:settings paused 1"], _NOWHERE, _PLACED, _ready(2, 1)[:1]),
    *(("queued", [f"ZADD q:q1:{part} 5 J"], _NOWHERE, [f"removed from q1:{part}"], [f"ZREM q:q1:{part} J"]) for part in PLACES[1:]),
    ("dead", ["ZADD q:q1:queued 5 J", "ZADD q:q1:suspects 5 J"], _NOWHERE,
     ["removed from q1:queued", "removed from q1:suspects"], ["ZREM q:q1:queued J", "ZREM q:q1:suspects J"]),
]  # fmt: skip


def _timed(place: str, damage: list[str], time: int, kept: int = 0, field: str = "") -> Row:
    """It gets the score that its time says, and the time if the score says that."""
    noted = [f"{field} noted"] if field else []
    fix = [f"HSET job:J {field} {time}"] if field else []
    return (
        place, damage, _NOWHERE, [*noted, f"placed in q1:{place}"],
        [*fix, f"ZADD q:q1:{place} {time + kept} J"],
    )  # fmt: skip


_FIELD = {"scheduled": "run_at", "retrying": "run_at", "running": "started_at", "completed": "finished_at", "dead": "finished_at", "cancelled": "finished_at"}  # fmt: skip
_KEPT = {"completed": DAY, "cancelled": DAY}
_TIMED: list[Row] = [
    *(_timed(place, _moved(place), T, _KEPT.get(place, 0)) for place in _FIELD),
    *(_timed(place, [f"ZADD q:q1:{place} 5 J"], T, _KEPT.get(place, 0)) for place in _FIELD),
    *(_timed(place, [f"HDEL job:J {field}"], T, _KEPT.get(place, 0), field) for place, field in _FIELD.items()),
    *(_timed(place, ["HSET job:J retention_ms 5000"], T, 5000) for place in _KEPT),
    *(_timed(place, ["HSET job:J retention_ms 5000", "HDEL job:J finished_at", f"ZADD q:q1:{place} 5001 J"], 1, 5000, "finished_at") for place in _KEPT),
    _timed("scheduled", ["HDEL job:J run_at", "ZADD q:q1:scheduled 1 J"], 1, 0, "run_at"),
]  # fmt: skip

_UNKNOWN = sha1(b"unknown|greet").hexdigest()[:12]
_GROUP = "placed in error group f1"
_DEAD: list[Row] = [
    ("dead", ["ZREM dead:group:f1 J"], _NOWHERE, [_GROUP, _COUNTED], [f"ZADD dead:group:f1 {T} J"]),
    ("dead", ["ZREM dead:groups f1"], _NOWHERE, [_COUNTED], ["ZADD dead:groups 1 f1"]),
    ("dead", ["ZREM dead:group:f1 J", "ZADD dead:group:f1 1 a 1 b"], _NOWHERE, [_GROUP, _COUNTED], [f"ZADD dead:group:f1 {T} J", "ZADD dead:groups 3 f1"]),
    ("dead", ["ZADD dead:groups 9 f1"], _NOWHERE, [], []),  # the group's own finding
    ("dead", ["HDEL job:J fingerprint"], _NOWHERE, ["fingerprint noted", f"placed in error group {_UNKNOWN}", _COUNTED],
     [f"HSET job:J fingerprint {_UNKNOWN}", f"ZADD dead:group:{_UNKNOWN} {T} J", f"ZADD dead:groups 1 {_UNKNOWN}"]),
    ("dead", ["HDEL job:J fingerprint", "HDEL job:J kind"], _NOWHERE,
     ["fingerprint noted", f"placed in error group {sha1(b'unknown|').hexdigest()[:12]}", _COUNTED],
     [f"HSET job:J fingerprint {(none := sha1(b'unknown|').hexdigest()[:12])}", f"ZADD dead:group:{none} {T} J", f"ZADD dead:groups 1 {none}"]),
    ("dead", ["ZADD dead:group:f2 1 J", "ZADD dead:groups 1 f2"], ("", "", "f2"), ["removed from error group f2", _COUNTED],
     ["ZREM dead:group:f2 J", "ZREM dead:groups f2"]),
    ("dead", ["ZADD dead:group:f2 1 J 1 a", "ZADD dead:groups 2 f2"], ("", "", "f2"), ["removed from error group f2", _COUNTED],
     ["ZREM dead:group:f2 J", "ZADD dead:groups 1 f2"]),
    ("dead", ["ZADD dead:groups 1 f2"], ("", "", "f2"), [], []),
    ("queued", ["ZADD dead:group:f1 1 J", "ZADD dead:groups 1 f1"], ("", "", "f1"), ["removed from error group f1", _COUNTED],
     ["ZREM dead:group:f1 J", "ZREM dead:groups f1"]),
    ("queued", ["ZADD dead:group:f1 1 J", "ZADD dead:groups 1 f1", "HSET job:J fingerprint f1"], _NOWHERE,
     ["removed from error group f1", _COUNTED], ["ZREM dead:group:f1 J", "ZREM dead:groups f1"]),
    ("queued", ["ZADD dead:group:f1 1 J", "ZADD dead:groups 1 f1", "HSET job:J fingerprint f1"], ("", "", "f1"),
     ["removed from error group f1", _COUNTED], ["ZREM dead:group:f1 J", "ZREM dead:groups f1"]),
    ("queued", ["HSET job:J fingerprint f1"], _NOWHERE, [], []),
    ("queued", ["ZADD dead:group:f1 1 J", "HSET job:J fingerprint f2"], ("", "", "f1"), ["removed from error group f1", _COUNTED],
     ["ZREM dead:group:f1 J"]),
]  # fmt: skip

_CLAIMED = "removed from the claims of w9"
_ORDERED = "order to cancel given again"
_HOLDERS: list[Row] = [
    *((place, ["HSET job:J worker w9"], _NOWHERE, ["worker dropped"], ["HDEL job:J worker"]) for place in PLACES if place != "running"),
    ("queued", ["HSET job:J worker w9", "SADD worker:w9:claims J K"], _NOWHERE, ["worker dropped", _CLAIMED],
     ["HDEL job:J worker", "SREM worker:w9:claims J"]),
    ("queued", ["HSET job:J worker w9", "SADD worker:w9:claims J K"], ("", "w9", ""), ["worker dropped", _CLAIMED],
     ["HDEL job:J worker", "SREM worker:w9:claims J"]),
    ("queued", ["HSET job:J worker w9", "SADD worker:w9:orders J"], _NOWHERE, ["worker dropped"], ["HDEL job:J worker"]),
    ("queued", ["HSET job:J cancel_requested 1"], _NOWHERE, ["cancel_requested dropped"], ["HDEL job:J cancel_requested"]),
    ("queued", ["SADD worker:w9:claims J K"], ("", "w9", ""), [_CLAIMED], ["SREM worker:w9:claims J"]),
    ("queued", ["SADD worker:w9:claims K"], ("", "w9", ""), [], []),
    ("queued", ["SADD worker:w9:orders J"], ("", "w9", ""), [], []),
    ("running", ["SADD worker:w9:claims J K"], ("", "w9", ""), [_CLAIMED], ["SREM worker:w9:claims J"]),
    ("running", ["HSET job:J cancel_requested 1"], _NOWHERE, [_ORDERED], ["SADD worker:w1:orders cancel:J"]),
    ("running", ["HSET job:J cancel_requested 1", "SADD worker:w1:orders cancel:J"], _NOWHERE, [], []),
    ("running", ["HSET job:J cancel_requested 1", "SADD worker:w1:claims cancel:J"], _NOWHERE, [_ORDERED], ["SADD worker:w1:orders cancel:J"]),
    ("running", ["ZADD q:q1:dead 1 J"], _NOWHERE, ["removed from q1:dead"], ["ZREM q:q1:dead J"]),
    ("running", ["HSET job:J fingerprint f1"], _NOWHERE, [], []),
]  # fmt: skip


def _attempts(count: int, kept: int) -> list[str]:
    return [f"HSET job:J attempt_count {count} fence {count}:t attempt:{count} x attempt:{kept} x"]


_GONE = ["DEL job:J", "ZREM q:q1:queued J"]
_REST: list[Row] = [
    ("queued", ["SREM queues q1"], _NOWHERE, ["queue made known"], ["SADD queues q1"]),
    ("queued", ["PEXPIRE job:J 90000"], _NOWHERE, ["made to stay"], ["PERSIST job:J"]),
    ("queued", _attempts(11, 1), _NOWHERE, ["attempt:1 dropped"], ["HDEL job:J attempt:1"]),
    ("queued", _attempts(11, 2), _NOWHERE, [], []),
    ("queued", ["HSET job:J status resting", *_moved("queued")], _NOWHERE, [], []),
    ("queued", ["HSET job:J crashes x worker w9", *_moved("queued")], _NOWHERE, [], []),
    ("scheduled", ["HSET job:J crashes x worker w9", *_moved("scheduled", "dead")], ("q1", "", ""), [], []),
    ("queued", ["HSET job:J status resting", "ZADD q:q1:dead 1 J", "SREM queues q1"], ("q1", "", ""), [], []),
    ("queued", ["HDEL job:J status", "ZADD q:q2:dead 1 J", "SADD worker:w9:claims J"], ("q2", "w9", "f2"), [], []),
    ("queued", ["ZADD q:q2:queued 5 J", "ZADD q:q2:dead 5 J"], ("q2", "", ""), ["removed from q2:queued", "removed from q2:dead"],
     ["ZREM q:q2:queued J", "ZREM q:q2:dead J"]),
    ("queued", ["ZADD q:q2:queued 5 J"], ("q1", "", ""), [], []),
    *(("queued", [*_GONE, f"ZADD q:q1:{part} 5 J"], ("q1", "", ""), [f"removed from q1:{part}"], [f"ZREM q:q1:{part} J"]) for part in PLACES),
    ("queued", [*_GONE, "ZADD q:q1:dead 5 J"], _NOWHERE, [], []),
    ("queued", [*_GONE, "SADD worker:w9:claims J", "ZADD dead:group:f1 1 J"], ("", "w9", "f1"),
     [_CLAIMED, "removed from error group f1", _COUNTED], ["SREM worker:w9:claims J", "ZREM dead:group:f1 J"]),
    # A key of another type on the way: it stays, and nothing is done to it.
    ("queued", [*_moved("queued"), "HSET job:J created_at 5", "SET q:q1:queued x"], _NOWHERE, [_WAKES], [_WOKEN]),
    ("dead", [*_moved("dead"), "SET q:q1:dead x"], _NOWHERE, [], []),
    ("dead", ["ZREM dead:group:f1 J", "DEL dead:groups", "SET dead:groups x"], _NOWHERE, [], []),
    ("dead", ["DEL dead:group:f1", "SET dead:group:f1 x"], _NOWHERE, [], []),
    ("queued", ["ZADD dead:group:f1 1 J", "SET dead:groups x"], ("", "", "f1"), [], []),
    ("queued", ["DEL queues", "SET queues x"], _NOWHERE, [], []),
    ("running", ["HSET job:J cancel_requested 1", "SET worker:w1:orders x"], _NOWHERE, [], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "damage", "where", "words", "fix"), [*_QUEUED, *_TIMED, *_DEAD, *_HOLDERS, *_REST]
)
async def test_what_is_done(
    queue: RedisQueue,
    place: str,
    damage: list[str],
    where: tuple[str, str, str],
    words: list[str],
    fix: list[str],
) -> None:
    await write(queue, *healthy(place), *damage)
    done = await _repair(queue, where)
    assert sorted(set(done)) == sorted(words)
    repaired = await everything(queue)
    await clear(queue)
    await write(queue, *healthy(place), *damage, *fix)
    wanted = await everything(queue)
    assert repaired == wanted


@pytest.mark.parametrize(
    ("place", "damage", "kept"),
    [
        ("scheduled", ["ZREM q:q1:scheduled J", "HDEL job:J run_at"], 0),
        ("scheduled", ["ZADD q:q1:scheduled 0 J", "HDEL job:J run_at"], 0),
        ("completed", [f"ZADD q:q1:completed {DAY} J", "HDEL job:J finished_at"], DAY),
        ("completed", ["ZADD q:q1:completed 5 J", "HDEL job:J finished_at"], DAY),
        ("dead", ["ZREM q:q1:dead J", "HDEL job:J finished_at", "ZREM dead:group:f1 J"], 0),
    ],
)
async def test_where_no_time_is_known_it_is_now(
    queue: RedisQueue, place: str, damage: list[str], kept: int
) -> None:
    await write(queue, *healthy(place), *damage)
    before = await queue.now_ms()
    await _repair(queue)
    after = await queue.now_ms()
    state = await everything(queue)
    time = int(state["job:J"][_FIELD[place].encode()])
    assert before <= time <= after and state[f"q:q1:{place}"] == {b"J": time + kept}
    if place == "dead":
        assert before <= state["dead:group:f1"][b"J"] <= after


async def test_a_ready_job_of_which_no_time_is_known_stands_last(queue: RedisQueue) -> None:
    await write(queue, *healthy("queued"), "ZREM q:q1:queued J")
    before = await queue.now_ms()
    await _repair(queue)
    after = await queue.now_ms()
    sequence = (await everything(queue))["q:q1:queued"][b"J"] - _R
    assert (before - 1_577_836_800_000) * 1000 <= sequence <= (after - 1_577_836_800_000) * 1000


_UNHELD = [
    ["SREM worker:w1:claims J"],
    ["ZREM workers w1"],
    ["HDEL job:J worker", "DEL worker:w1:claims"],
    ["SREM worker:w1:claims J", "HSET worker:w1:x f 1", "SADD worker:w1:orders J"],
]


@pytest.mark.parametrize("damage", _UNHELD)
async def test_what_runs_and_nobody_holds_goes_back_as_lapsed(queue: RedisQueue, damage: list[str]) -> None:
    await write(queue, *healthy("running"), *damage)
    assert await _repair(queue) == ["handed back as lapsed, for no worker holds it"]
    state = await everything(queue)
    job = {name.decode(): value.decode() for name, value in state["job:J"].items()}
    assert (job["status"], job["lapses"], job["attempt_count"]) == ("queued", "1", "1")
    assert "worker" not in job and "worker:w1:claims" not in state and "q:q1:running" not in state
    assert state["q:q1:queued"] == {b"J": _R + SEQUENCE} and state["q:q1:wake"] == {b"ready": 1}
    assert state["q:q1:settings"][b"changes"] == b"1"
    *_, outcome, error = job["attempt:1"].split(" ", 4)
    assert outcome == "lapsed" and json.loads(error) == {
        "type": "WorkerLost",
        "message": "the books said that it runs, but no worker held it",
        "traceback": "",
    }
    assert state["stats"][b"duration|greet|lapsed|1"] == b"1" and b"greet" in state["kinds"]
    assert await _repair(queue) == []


_STRUCTURE = {
    **{f"q:q1:{place}": "x" for place in PLACES}, "worker:w1": "x", "worker:w1:claims": "x", "worker:w1:orders": "x",
    "q:q1:wake": "x", "q:q1:settings": "x", "stats": "x", "dead:groups": "x", "workers": "x", "kinds": "x",
}  # fmt: skip


@pytest.mark.parametrize("key", _STRUCTURE)
async def test_nothing_goes_back_where_a_key_of_another_type_is_on_the_way(
    queue: RedisQueue, key: str
) -> None:
    await write(
        queue, *healthy("running"), "SREM worker:w1:claims J", *worker("w2"), f"DEL {key}", f"SET {key} x"
    )
    before = await everything(queue)
    assert await _repair(queue) == []
    assert await everything(queue) == before
