"""inspect_job.lua: exactly what is said of a job, and nothing of one that is well, at each rule's very limit."""

from __future__ import annotations

import pytest

from ironforge.queue.backend import RedisQueue
from tests.auditor.hand import BAND, DAY, PLACES, T, call, healthy, worker, write

Told = list[tuple[str, str]]  # rule, words
_R = 2 * BAND  # where the band of medium priority begins


async def inspect(queue: RedisQueue, *arguments: str) -> list[tuple[str, ...]]:
    """What is said: id, rule, status, queue, words."""
    reply = await call(queue, "inspect_job", *arguments)
    return list(zip(*[iter(reply)] * 5, strict=True))


@pytest.mark.parametrize("place", PLACES)
async def test_a_job_that_is_well(queue: RedisQueue, place: str) -> None:
    await write(queue, *healthy(place))
    assert await inspect(queue, "hash", "", "", "J") == []
    assert await inspect(queue, "index", "q1", place, "J") == []
    assert await inspect(queue, "claims", "w1", "", "J") == []
    assert await inspect(queue, "group", "f1", "", "J") == []


def _listed(place: str, *commands: str) -> list[str]:
    """The job is in other lists than its own."""
    return [f"ZREM q:q1:{place} J", *(f"ZADD q:q1:{other} 5 J" for other in commands)]


def _score(place: str, score: float) -> list[str]:
    return [f"ZADD q:q1:{place} {score} J"]


_PLACES: list[tuple[str, list[str], Told]] = [
    *((place, _listed(place), [("not_indexed", "")]) for place in PLACES),
    ("queued", _listed("queued", "suspects"), [("suspect", "suspects")]),
    ("suspects", _listed("suspects", "queued"), [("suspect", "queued")]),
    ("queued", _listed("queued", "dead"), [("wrong_place", "dead")]),
    ("queued", _listed("queued", "suspects", "dead"), [("several_places", "suspects, dead")]),
    ("scheduled", _listed("scheduled", "queued"), [("wrong_place", "queued")]),
    ("dead", _listed("dead", "suspects"), [("wrong_place", "suspects")]),
    ("dead", _listed("dead", *PLACES[:6], "cancelled"), [("several_places", ", ".join((*PLACES[:6], "cancelled")))]),
    ("scheduled", _listed("scheduled", "dead"), [("wrong_place", "dead")]),
    ("queued", ["HSET job:J crashes 1"], []),
    ("queued", ["HSET job:J crashes 2"], [("suspect", "queued")]),
    ("suspects", ["HSET job:J crashes 1"], [("suspect", "suspects")]),
]  # fmt: skip

_SCORES: list[tuple[str, list[str], Told]] = [
    *((place, [f"HSET job:J priority {rank}", *_score(place, rank * BAND + 9)], []) for rank in range(4) for place in ("queued", "suspects")),
    ("queued", _score("queued", _R), [("score", str(_R))]),
    ("queued", _score("queued", _R + 1), []),
    ("queued", _score("queued", _R + BAND - 1), []),
    ("queued", _score("queued", _R + BAND + 1), [("score", str(_R + BAND + 1))]),
    ("queued", _score("queued", _R - 1), [("score", str(_R - 1))]),
    ("queued", ["HSET job:J priority 0", *_score("queued", 1.5)], [("score", "2")]),
    *((place, _score(place, T + kept + by), [("score", str(T + kept + by))]) for by in (1, -1)
      for place, kept in (("scheduled", 0), ("retrying", 0), ("running", 0), ("dead", 0), ("completed", DAY), ("cancelled", DAY))),
    *((place, ["HSET job:J retention_ms 5000", *_score(place, T + 5000)], []) for place in ("completed", "cancelled")),
    *((place, ["HSET job:J retention_ms 5000"], []) for place in ("queued", "scheduled", "retrying", "running", "dead")),
    *((place, [f"HDEL job:J {field}"], [("score", str(T + kept))]) for place, field, kept in (
        ("scheduled", "run_at", 0), ("retrying", "run_at", 0), ("running", "started_at", 0), ("dead", "finished_at", 0),
        ("completed", "finished_at", DAY), ("cancelled", "finished_at", DAY))),
]  # fmt: skip

_HOLDERS: list[tuple[str, list[str], Told]] = [
    ("queued", ["HSET job:J worker w1"], [("claimed", "w1")]),
    ("queued", ["HSET job:J cancel_requested 1"], [("order", "")]),
    ("dead", ["HSET job:J worker w1 cancel_requested 1"], [("claimed", "w1"), ("order", "")]),
    ("running", ["HDEL job:J worker"], [("unclaimed", "")]),
    ("running", ["SREM worker:w1:claims J"], [("unclaimed", "w1")]),
    ("running", ["ZREM workers w1"], [("unclaimed", "w1")]),
    ("running", ["HSET job:J cancel_requested 1"], [("order", "w1")]),
    ("running", ["HSET job:J cancel_requested 1", "SADD worker:w1:orders cancel:J"], []),
    ("running", ["HSET job:J cancel_requested 1", "SADD worker:w1:claims cancel:J"], [("order", "w1")]),
    ("running", ["HSET job:J cancel_requested 1", "ZREM workers w1"], [("unclaimed", "w1")]),
    ("running", ["DEL worker:w1:claims", "SET worker:w1:claims x"], [("unclaimed", "w1")]),
]  # fmt: skip

_GROUPS: list[tuple[str, list[str], Told]] = [
    ("dead", ["HDEL job:J fingerprint"], [("group", "")]),
    ("dead", ["ZREM dead:group:f1 J"], [("group", "f1")]),
    ("dead", ["ZREM dead:groups f1"], [("group", "f1")]),
    ("dead", ["ZADD dead:groups 0 f1"], []),  # how many it counts is another rule's
    ("queued", ["HSET job:J fingerprint f1"], []),
    ("queued", ["HSET job:J fingerprint f1", "ZADD dead:group:f1 1 J"], [("group", "f1")]),
]  # fmt: skip


def _ran(times: int, outcome: str = "failed", **more: object) -> list[str]:
    fields = " ".join(f"{name} {value}" for name, value in more.items())
    return [f"HSET job:J attempt_count {times} fence {times}:t attempt:{times} '1 2 w0 {outcome}' {fields}"]


_LONG = "1 2 w0 completed " + "x" * 100
_COUNTS: list[tuple[str, list[str], Told]] = [
    ("running", ["HSET job:J fence 1:"], [("fence", "1:")]),
    ("running", ["HSET job:J fence 1"], [("fence", "1"), ("counts", "attempt_count 0 with fence 1")]),
    ("running", ["HDEL job:J fence"], [("fence", ""), ("counts", "attempt_count 0 with fence none")]),
    ("running", ["HSET job:J fence t1:t"], [("fence", "t1:t"), ("counts", "attempt_count 0 with fence t1:t")]),
    ("running", ["HSET job:J fence 2:t"], [("counts", "attempt_count 0 with fence 2:t")]),
    ("running", [*_ran(1), "HSET job:J fence 2:t"], []),
    ("running", _ran(1), [("counts", "attempt_count 1 with fence 1:t")]),
    ("queued", ["HSET job:J fence x"], [("counts", "attempt_count 0 with fence x")]),
    ("queued", ["HSET job:J fence 1:t"], [("counts", "attempt_count 0 with fence 1:t")]),
    ("queued", ["HSET job:J attempt_count 1"], [("counts", "attempt_count 1 with fence none")]),
    ("queued", ["HSET job:J attempt_count -1 fence x"], [("counts", "attempt_count -1 with fence x")]),
    ("queued", _ran(3), []),
    ("retrying", ["HSET job:J retry_count 3"], []),
    ("retrying", ["HSET job:J retry_count 4"], [("counts", "retry_count 4 of 3")]),
    ("retrying", ["HSET job:J max_retries 1"], []),
    ("retrying", ["HSET job:J max_retries 0"], [("counts", "retry_count 1 of 0")]),
    ("queued", ["HSET job:J max_retries 0"], []),
    ("running", ["HSET job:J crashes 2"], []),
    ("running", ["HSET job:J crashes 3"], [("counts", "crashes 3")]),
    ("running", ["HSET job:J crashes 3 generation 1"], []),
    ("running", ["HSET job:J crashes 4 generation 1"], [("counts", "crashes 4")]),
    ("suspects", ["HSET job:J crashes 3"], [("counts", "crashes 3")]),
    ("scheduled", ["HSET job:J crashes 3"], [("counts", "crashes 3")]),
    *((place, ["HSET job:J crashes 3"], []) for place in ("dead", "completed", "cancelled")),
    *((place, ["HSET job:J crashes 4"], [("counts", "crashes 4")]) for place in ("dead", "completed", "cancelled")),
    ("queued", ["HSET job:J lapses 20"], []),
    ("queued", ["HSET job:J lapses 21"], [("counts", "lapses 21")]),
    ("queued", ["HSET job:J lapses 22 generation 2"], []),
    ("queued", ["HSET job:J lapses 23 generation 2"], [("counts", "lapses 23")]),
    ("dead", ["HSET job:J lapses 21"], []),
    ("dead", ["HSET job:J lapses 22"], [("counts", "lapses 22")]),
    ("queued", ["HSET job:J " + " ".join(f"f{at} 1" for at in range(61))], []),
    ("queued", ["HSET job:J " + " ".join(f"f{at} 1" for at in range(62))], [("fields", "65 fields")]),
    ("queued", ["PEXPIRE job:J 100000"], [("expires", "")]),
    ("completed", _ran(1), [("outcome", "1 2 w0 failed")]),
    ("completed", ["HDEL job:J attempt:1"], [("outcome", "")]),
    ("completed", ["HDEL job:J attempt:1 attempt_count fence"], []),
    ("retrying", _ran(1, "completed"), [("outcome", "1 2 w0 completed")]),
    ("retrying", [f"HSET job:J attempt:1 '{_LONG}'"], [("outcome", _LONG[:80])]),
    ("retrying", ["HDEL job:J attempt:1"], []),
    ("retrying", _ran(2, "completed"), [("outcome", "1 2 w0 completed")]),
    ("retrying", ["HSET job:J attempt:0 '1 2 w0 completed'", *_ran(1)], []),
    ("retrying", [*_ran(11), "HDEL job:J attempt:1", "HSET job:J attempt:2 x"], []),
    ("retrying", [*_ran(11), "HSET job:J attempt:1 x"], [("attempts", "")]),
    ("retrying", [*_ran(13), "HDEL job:J attempt:1", "HSET job:J attempt:3 x"], [("attempts", "")]),
]  # fmt: skip

_NUMBERS = (
    "run_at", "started_at", "finished_at", "retention_ms", "priority", "crashes", "lapses", "generation", "retry_count",
    "max_retries", "attempt_count", "created_at",
)  # fmt: skip
_REST: list[tuple[str, list[str], Told]] = [
    *(("queued", [f"HSET job:J {field} x"], [("fields", field)]) for field in _NUMBERS),
    *(("queued", [f"HSET job:J {field} 1.5"], [("fields", field)]) for field in _NUMBERS),
    *(("queued", [f"HSET job:J {field} 0"], []) for field in ("run_at", "lapses", "created_at", "max_retries")),
    ("queued", ["HSET job:J priority 4"], [("fields", "priority")]),
    ("queued", ["HSET job:J priority -1"], [("fields", "priority")]),
    ("queued", ["HSET job:J status resting priority 4"], [("status", "resting")]),
    ("queued", ["HSET job:J status suspects"], [("status", "suspects")]),
    ("queued", ["DEL queues"], [("unknown_queue", "")]),
    ("dead", ["SREM queues q1", "HSET job:J worker w"], [("unknown_queue", ""), ("claimed", "w")]),
    ("running", [f"HSET q:q1:settings paused {T - 1}"], [("paused", "")]),
    ("running", [f"HSET q:q1:settings paused {T}"], []),
    ("running", ["HSET q:q1:settings paused 0", "HDEL job:J started_at"], [("score", str(T))]),
    ("completed", [f"HSET job:J started_at {T}", f"HSET q:q1:settings paused {T - 1}"], []),
    ("queued", ["HDEL job:J status"], [("damaged", "")]),
    ("queued", ["HDEL job:J queue"], [("damaged", "")]),
    ("queued", ["DEL job:J", "SET job:J x"], [("damaged", "")]),
    ("queued", ["DEL job:J"], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "damage", "told"),
    [*_PLACES, *_SCORES, *_HOLDERS, *_GROUPS, *_COUNTS, *_REST],
    ids=lambda value: value if isinstance(value, str) else ("; ".join(value)[:60] if value and isinstance(value[0], str) else ""),
)  # fmt: skip
async def test_of_a_hash(queue: RedisQueue, place: str, damage: list[str], told: Told) -> None:
    await write(queue, *healthy(place), *damage)
    found = await inspect(queue, "hash", "", "", "J")
    assert [(one[1], one[4]) for one in found] == told
    assert {one[0] for one in found} <= {"J"}
    if told and told[0][0] not in ("status", "damaged"):
        status = "queued" if place == "suspects" else place
        assert {one[2:4] for one in found} == {(status, "q1")}


async def test_what_is_said_of_a_job_whose_status_is_none(queue: RedisQueue) -> None:
    await write(queue, *healthy("queued"), "HSET job:J status resting")
    assert await inspect(queue, "hash", "", "", "J") == [("J", "status", "resting", "q1", "resting")]


async def test_each_of_several_jobs_is_judged_and_what_they_share_is_not_mixed_up(queue: RedisQueue) -> None:
    """Queue, worker and error group have the same name; only the queue is unknown, then only the worker, then the group."""
    lines = [
        "HSET job:A status running queue same kind greet started_at 5 worker same fence 1:t",
        "ZADD q:same:running 5 A",
        "HSET job:B status dead queue same kind greet finished_at 5 fingerprint same",
        "ZADD q:same:dead 5 B",
        "ZADD dead:group:same 5 B",
        "SADD worker:same:claims A",
    ]
    shared = ["SADD queues same", f"ZADD workers {T} same", "ZADD dead:groups 1 same"]
    told = [
        [("A", "unknown_queue"), ("B", "unknown_queue"), ("A", "unknown_queue")],
        [("A", "unclaimed"), ("A", "unclaimed")],
        [("B", "group")],
    ]
    for at, wanted in enumerate(told):
        await write(
            queue,
            "DEL queues",
            "DEL workers",
            "DEL dead:groups",
            *lines,
            *shared[:at],
            *shared[at + 1 :],
        )
        found = await inspect(queue, "hash", "", "", "A", "B", "A")
        assert [(one[0], one[1]) for one in found] == wanted
    await write(queue, *shared)
    assert await inspect(queue, "hash", "", "", "A", "B", "A") == []


_ENTRIES: list[tuple[str, list[str], str, str, Told]] = [
    *(("queued", [f"ZADD q:q1:{place} 5 J"], "q1", place, [("several_places", f"q1:{place}")]) for place in PLACES[1:]),
    ("dead", ["ZADD q:q1:queued 5 J"], "q1", "queued", [("several_places", "q1:queued")]),
    ("dead", ["ZADD q:q2:dead 5 J"], "q2", "dead", [("several_places", "q2:dead")]),
    ("dead", ["ZREM q:q1:dead J", "ZADD q:q2:dead 5 J"], "q2", "dead", [("wrong_place", "q2:dead")]),
    ("dead", ["ZREM q:q1:dead J", "ZADD q:q1:queued 5 J"], "q1", "queued", [("wrong_place", "q1:queued")]),
    ("queued", ["HSET job:J crashes 2"], "q1", "queued", [("wrong_place", "q1:queued")]),
    ("queued", ["HSET job:J crashes 1"], "q1", "queued", []),
    ("queued", ["HSET job:J crashes x"], "q1", "queued", []),
    ("suspects", ["HDEL job:J crashes"], "q1", "suspects", [("wrong_place", "q1:suspects")]),
    ("queued", ["DEL job:J"], "q1", "queued", [("ghost", "q1:queued")]),
    ("queued", ["HDEL job:J status"], "q1", "queued", []),
    ("queued", ["DEL job:J", "SET job:J x"], "q1", "queued", []),
    ("queued", [], "q1", "dead", []),  # it left that list since
    ("queued", ["DEL job:J", "ZREM q:q1:queued J"], "q1", "queued", []),
]  # fmt: skip


@pytest.mark.parametrize(("place", "damage", "name", "part", "told"), _ENTRIES)
async def test_of_an_entry(
    queue: RedisQueue, place: str, damage: list[str], name: str, part: str, told: Told
) -> None:
    await write(queue, *healthy(place), *damage)
    found = await inspect(queue, "index", name, part, "J")
    assert [(one[1], one[4]) for one in found] == told
    where = ("", "") if told and told[0][0] == "ghost" else ("queued" if place == "suspects" else place, "q1")
    assert {one[2:4] for one in found} <= {where}


_CLAIMS: list[tuple[str, list[str], str, Told]] = [
    ("running", [], "w1", []),
    ("running", [*worker("w2"), "SADD worker:w2:claims J"], "w2", [("claim", "w2")]),
    ("running", [], "w2", []),  # settled since
    ("queued", ["SADD worker:w1:claims J"], "w1", [("claim", "w1")]),
    ("queued", ["SADD worker:w1:claims J", "HSET job:J worker w1"], "w1", [("claim", "w1")]),
    ("queued", ["SADD worker:w1:orders J"], "w1", []),
    ("running", ["DEL job:J"], "w1", [("claim", "w1")]),
    ("running", ["DEL job:J"], "w2", []),
]  # fmt: skip


@pytest.mark.parametrize(("place", "damage", "wid", "told"), _CLAIMS)
async def test_of_a_claim(queue: RedisQueue, place: str, damage: list[str], wid: str, told: Told) -> None:
    await write(queue, *healthy(place), *damage)
    found = await inspect(queue, "claims", wid, "", "J")
    assert [(one[0], one[1], one[4]) for one in found] == [("J", *one) for one in told]


_MEMBERS: list[tuple[str, list[str], str, Told]] = [
    ("dead", ["ZADD dead:group:f2 1 J"], "f2", [("other_group", "f2")]),
    ("dead", [], "f2", []),
    ("queued", ["ZADD dead:group:f1 1 J"], "f1", [("other_group", "f1")]),
    ("queued", ["ZADD dead:group:f1 1 J", "HSET job:J fingerprint f1"], "f1", [("other_group", "f1")]),
    ("dead", ["DEL job:J"], "f1", [("ghost", "error group f1")]),
    ("dead", ["DEL job:J"], "f2", []),
    ("dead", ["HDEL job:J queue"], "f1", []),
]  # fmt: skip


@pytest.mark.parametrize(("place", "damage", "group", "told"), _MEMBERS)
async def test_of_a_member_of_a_group(
    queue: RedisQueue, place: str, damage: list[str], group: str, told: Told
) -> None:
    await write(queue, *healthy(place), *damage)
    found = await inspect(queue, "group", group, "", "J")
    assert [(one[1], one[4]) for one in found] == told


async def test_every_id_of_a_call_is_looked_at(queue: RedisQueue) -> None:
    ghosts = ("a", "b", "c")
    await write(queue, *(f"ZADD q:q1:dead 1 {one}" for one in (*ghosts, "dead")))
    assert await inspect(queue, "index", "q1", "dead", *ghosts) == [
        (one, "ghost", "", "", "q1:dead") for one in ghosts
    ]
