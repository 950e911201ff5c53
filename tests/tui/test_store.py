"""The store, without Textual: events in, state out."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from ironforge.tui.job_list import JobList, matches, server_search
from ironforge.tui.models import job_row
from ironforge.tui.store import Store


def _stats(seq: int, **stats: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "now": "2026-11-24T06:00:00.000Z",
        "stats": stats,
        "queues": [{"name": "default", "dead": stats.get("dlq_depth", 0)}],
        "series": {},
    }


def test_hello_and_a_snapshot_make_it_live() -> None:
    store = Store()
    assert store.apply("hello", {"seq": 0, "epoch": "a", "api": 1, "namespace": "ironforge"})
    assert store.apply("stats", _stats(1, dlq_depth=3))
    assert (store.link, store.stats.dead, store.locked) == ("live", 3, "")
    assert store.take_changed() == {"*"}


def test_a_gap_in_the_sequence_makes_every_list_old() -> None:
    store = Store()
    store.apply("hello", {"seq": 0, "epoch": "a", "api": 1})
    assert store.apply("changed", {"seq": 1, "queue": "mail"})
    store.take_changed()
    assert not store.apply("changed", {"seq": 3, "queue": "mail"})
    assert "*" in store.take_changed() and store.gaps == 1


def test_a_new_hello_begins_anew_whatever_its_number() -> None:
    store = Store()
    store.apply("hello", {"seq": 7, "epoch": "a", "api": 1})
    assert store.apply("hello", {"seq": 0, "epoch": "b", "api": 1})
    assert store.apply("stats", _stats(1)) and store.gaps == 0


def test_redis_away_locks_changes_and_keeps_what_is_known() -> None:
    store = Store()
    store.apply("hello", {"seq": 0, "epoch": "a", "api": 1})
    store.apply("stats", _stats(1, queue_depth=5))
    store.apply("hb", {"seq": 2, "redis": "away"})
    assert store.link == "degraded" and "Redis" in store.locked
    assert store.stats.queue_depth == 5
    store.apply("hb", {"seq": 3, "redis": "ok"})
    assert store.locked == ""


def test_a_lost_stream_locks_changes() -> None:
    store = Store()
    store.apply("hello", {"seq": 0, "epoch": "a", "api": 1})
    store.apply("stats", _stats(1))
    store.lost("connection refused", 0.5)
    assert (store.link, store.locked) == ("offline", "not possible while offline")
    assert store.dimmed and not store.reachable and store.stats is not None


def test_silence_is_lag_before_it_is_a_loss() -> None:
    now = [100.0]
    store = Store(clock=lambda: now[0])
    store.apply("stats", _stats(0))
    now[0] += 1.0
    store.tick()
    assert store.link == "live"
    now[0] += 1.0
    store.tick()
    assert store.link == "lag" and store.locked == ""


def test_another_version_of_the_api_can_only_be_looked_at() -> None:
    store = Store()
    store.apply("hello", {"seq": 0, "epoch": "a", "api": 2})
    store.apply("stats", _stats(1))
    assert store.link == "live" and "version 2" in store.locked


def test_new_dead_count_since_the_view_was_looked_at() -> None:
    store = Store()
    store.apply("stats", _stats(0, dlq_depth=3))
    assert store.new_dead == 0
    store.apply("stats", _stats(1, dlq_depth=5))
    assert store.new_dead == 2
    store.look_at_dead()
    assert store.new_dead == 0


RUBBISH: list[Any] = [None, 3, -1.5, "x\x1b[2J", [], [1, "a"], {}, {"name": 7}, True, 10**400, float("nan")]


def _random_event(chance: random.Random) -> tuple[str, dict[str, Any]]:
    match chance.randrange(6):
        case 0:
            return "hello", {"epoch": chance.choice("ab"), "api": 1}
        case 1 | 2:
            return "stats", _stats(0, dlq_depth=chance.randrange(9), queue_depth=chance.randrange(9))
        case 3:
            return "changed", {"queue": chance.choice(("mail", "bulk"))}
        case 4:
            return "hb", {"redis": chance.choice(("ok", "away"))}
        case _:
            name = chance.choice(("hello", "stats", "changed", "hb", "job", "?"))
            keys = ("stats", "queues", "series", "now", "queue", "redis", "epoch", "api")
            return name, {key: chance.choice(RUBBISH) for key in keys}


@pytest.mark.parametrize("seed", range(40))
def test_whatever_came_before_a_fresh_snapshot_says_it_all(seed: int) -> None:
    """Random events, some lost, some rubbish, then a snapshot: as if only the snapshot had come."""
    chance = random.Random(seed)
    store = Store()
    for seq in range(60):
        name, data = _random_event(chance)
        if chance.random() > 0.15:  # else it is lost on the way
            store.apply(name, {**data, "seq": seq})
        if chance.random() < 0.05:
            store.lost("broke", 1.0)
    last = [
        ("hello", {"seq": 0, "epoch": "z", "api": 1}),
        ("stats", _stats(1, dlq_depth=4, attention=[{"rule": "paused", "subject": {"name": "q"}}])),
    ]
    fresh = Store()
    for name, data in last:
        store.apply(name, data)
        fresh.apply(name, data)
    names = ("link", "link_words", "hello", "stats", "queues", "series", "locked", "reachable")
    assert [getattr(store, name) for name in names] == [getattr(fresh, name) for name in names]


def test_a_large_snapshot_is_taken_in_no_time() -> None:
    queues = [{"name": f"q{at}", "queued": at, "spark": [1.0] * 30} for at in range(200)]
    store = Store()
    began = time.process_time()
    for seq in range(10):
        store.apply("stats", {"seq": seq, "stats": {}, "queues": queues, "series": {}})
    assert (time.process_time() - began) / 10 < 0.1


# -- lists of jobs --------------------------------------------------------------------------------------------------------


def _row(job_id: str, **more: Any) -> Any:
    return job_row({"id": job_id, "kind": "email.send", "status": "dead", "max_retries": 3, **more})


@pytest.mark.parametrize("seed", range(20))
def test_pages_in_any_order_equal_the_last_one(seed: int) -> None:
    chance = random.Random(seed)
    jobs, marks = JobList(), {"j1", "j2"}
    for _ in range(30):
        ids = chance.sample([f"j{at}" for at in range(12)], chance.randrange(12))
        rows = [_row(job_id, retry_count=chance.randrange(4)) for job_id in ids]
        jobs.replace(rows, None, len(rows), marks)
    fresh = JobList()
    fresh.replace(rows, None, len(rows))
    assert jobs.loaded == fresh.loaded and jobs.shown() == fresh.shown() == ids
    known = {row.id for row in jobs.targets(marks, None)}
    assert known <= marks and known >= marks & set(ids)


def test_a_marked_job_that_left_the_list_is_still_meant() -> None:
    jobs = JobList()
    jobs.replace([_row("a"), _row("b")], None, 2)
    difference = jobs.replace([_row("b"), _row("c")], None, 2, {"a"})
    assert difference == (2, 1)  # a went, c came; a is marked and not listed
    assert [row.id for row in jobs.targets({"a"}, "b")] == ["a"]
    assert jobs.hidden({"a", "b"}) == (0, 1)
    jobs.find("nothing like it")
    assert jobs.hidden({"a", "b"}) == (1, 1) and jobs.shown() == []


def test_sorting_keeps_the_order_of_equals_and_goes_round() -> None:
    jobs = JobList()
    jobs.replace(
        [_row("a", priority="low"), _row("b", priority="critical"), _row("c", priority="low")], None, 3
    )
    jobs.sort_by(("priority", False))
    assert jobs.shown() == ["b", "a", "c"]
    seen: list[object] = []
    for _ in range(6):
        jobs.sort_next()
        seen.append(jobs.sort and jobs.sort[0])
    assert seen == ["retries", "when", None, "kind", "queue", "priority"]


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("charge", True),
        ("!charge", False),
        ("queue:mail", False),
        ("queue:crit", True),
        ("kind:pay 8812", True),
        ("task:pay*", True),
        ("8813", False),
    ],
)
def test_filters_over_loaded_rows(words: str, fits: bool) -> None:
    row = job_row({"id": "x-1", "kind": "payment.charge", "queue": "critical", "payload": {"order_id": 8812}})
    assert matches(row, words) is fits


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("8812", ("8812", "")),
        ("!x long-one y", ("long-one", "")),
        ("kind:email.send", ("", "email.send")),
        ("kind:email*", ("", "")),
        ("!x", ("", "")),
    ],
)
def test_what_the_server_is_asked_for(words: str, asked: tuple[str, str]) -> None:
    assert server_search(words) == asked


def test_a_row_of_rubbish_is_still_a_row() -> None:
    for value in RUBBISH:
        keys = ("id", "kind", "progress", "last_error", "created_at", "payload", "retry_count", "attempts")
        row = job_row(dict.fromkeys(keys, value))
        assert "\x1b" not in f"{row.id}{row.kind}{row.error}{row.payload}"
    row = job_row({"last_error": {"type": "E", "message": "\x1b[2J\u202e"}, "created_at": "never"})
    assert row.created_s is None and row.error.startswith("E: ␛[2J") and "\u202e" not in row.error
