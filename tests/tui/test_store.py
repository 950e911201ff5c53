from __future__ import annotations

from typing import Any

import pytest

from ironforge.tui.store import Store, clean, job_row, matches


def _stats(seq: int, **stats: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "now": "2026-11-24T06:00:00.000Z",
        "stats": stats,
        "queues": [{"name": "default"}],
        "series": {},
    }


def test_hello_and_a_snapshot_make_it_live() -> None:
    store = Store()
    assert store.apply("hello", {"seq": 0, "epoch": "a", "namespace": "ironforge"})
    assert store.apply("stats", _stats(1, dlq_depth=3))
    assert (store.link, store.stats["dlq_depth"], store.can_change) == ("live", 3, "")
    assert store.take_changed() == {"*"}


def test_a_gap_in_the_sequence_is_noticed() -> None:
    store = Store()
    store.apply("hello", {"seq": 0, "epoch": "a"})
    assert store.apply("changed", {"seq": 1, "queue": "mail"})
    assert not store.apply("changed", {"seq": 3, "queue": "mail"})


def test_a_new_hello_begins_anew_whatever_its_number() -> None:
    store = Store()
    store.apply("hello", {"seq": 7, "epoch": "a"})
    assert store.apply("hello", {"seq": 0, "epoch": "b"})
    assert store.apply("stats", _stats(1))


def test_redis_away_locks_changes_and_keeps_what_is_known() -> None:
    store = Store()
    store.apply("hello", {"seq": 0, "epoch": "a"})
    store.apply("stats", _stats(1, queue_depth=5))
    store.apply("hb", {"seq": 2, "redis": "away"})
    assert store.link == "degraded" and "Redis" in store.can_change
    assert store.stats["queue_depth"] == 5
    store.apply("hb", {"seq": 3, "redis": "ok"})
    assert store.can_change == ""


def test_a_lost_stream_locks_changes() -> None:
    store = Store()
    store.apply("hello", {"seq": 0, "epoch": "a"})
    store.apply("stats", _stats(1))
    store.lost("nobody answers there", 0.5)
    assert (store.link, store.can_change) == ("offline", "not possible while offline")


def test_new_dead_count_since_the_view_was_looked_at() -> None:
    store = Store()
    store.apply("stats", _stats(0, dlq_depth=3))
    assert store.new_dead == 0
    store.apply("stats", _stats(1, dlq_depth=5))
    assert store.new_dead == 2
    store.look_at_dead()
    assert store.new_dead == 0


def test_every_text_of_a_document_is_made_safe() -> None:
    hostile = clean({"a\x1b]0;x\x07": ["\x1b[31m", {"b": "\u202eevil"}], "n": 1})
    assert "\x1b" not in repr(hostile).replace("\\x1b", "\x1b")
    assert "\u202e" not in str(hostile)
    assert hostile["n"] == 1


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("charge", True),
        ("!charge", False),
        ("queue:mail", False),
        ("queue:crit", True),
        ("kind:pay 8812", True),
        ("8813", False),
    ],
)
def test_filters_over_loaded_rows(words: str, fits: bool) -> None:
    row = job_row({"id": "x-1", "kind": "payment.charge", "queue": "critical", "payload": {"order_id": 8812}})
    assert matches(row, words) is fits


def test_a_row_of_rubbish_is_still_a_row() -> None:
    row = job_row(
        {"id": None, "progress": 3, "last_error": {"type": "E", "message": "\x1b[2J"}, "created_at": "never"}
    )
    assert row.created_s is None and "\x1b" not in row.error
