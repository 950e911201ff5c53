"""The checker of histories says yes to what a serial order explains, and no to all else."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from tests.faults.history import Op, State, is_linearizable, step

DEAD = State("dead")


def serial(*said: tuple[str, str, str]) -> list[Op]:
    return [Op(*words, at * 2, at * 2 + 1) for at, words in enumerate(said)]


def together(*said: tuple[str, str, str]) -> list[Op]:
    return [Op(*words, at, 100 + at) for at, words in enumerate(said)]


@pytest.mark.parametrize(
    ("ops", "begin"),
    [
        (serial(("claim", "w", "1:a"), ("settle", "1:a|dead", "ok"), ("retry", "", "done"), ("get", "", "queued")), State()),
        (together(("retry", "", "done"), ("retry", "", "queued")), DEAD),
        (together(("settle", "1:a|completed", "refused"), ("take_back", "w", "")), State("running", "w", "1:a")),
        (together(("settle", "1:a|released", "ok"), ("settle", "1:a|released", "already")), State("running", "w", "1:a")),
        (together(("delete", "", "deleted"), ("retry", "", "done"), ("get", "", "missing")), DEAD),
        (together(("cancel", "", "requested"), ("take_back", "w v", ""), ("get", "", "cancelled")), State("running", "w", "1:a")),
        (serial(("run", "", "done"), ("cancel", "", "done"), ("cancel", "", "cancelled")), State("retrying")),
        (serial(("delete", "", "running"), ("delete", "", "running")), State("running", "w", "1:a")),
    ],
)  # fmt: skip
def test_what_a_serial_order_explains(ops: list[Op], begin: State) -> None:
    for order in itertools.permutations(ops):
        assert is_linearizable(order, begin)


@pytest.mark.parametrize(
    ("ops", "begin"),
    [
        (together(("retry", "", "done"), ("retry", "", "done")), DEAD),
        (serial(("retry", "", "queued"), ("retry", "", "done")), DEAD),
        (together(("delete", "", "deleted"), ("delete", "", "deleted")), DEAD),
        (together(("claim", "w", "1:a"), ("claim", "v", "1:b")), State()),
        (serial(("claim", "w", "")), State()),
        (together(("settle", "1:a|completed", "ok"), ("take_back", "w", ""), ("get", "", "queued"), ("get", "", "completed"), ("claim", "v", "2:b")), State("running", "w", "1:a")),
        (serial(("settle", "1:a|dead", "ok"), ("settle", "1:a|dead", "ok")), State("running", "w", "1:a")),
        (serial(("settle", "1:a|dead", "already")), State("running", "w", "2:b")),
        (together(("cancel", "", "done"), ("claim", "w", "1:a"), ("delete", "", "running")), State()),
        (serial(("delete", "", "deleted"), ("get", "", "queued")), State()),
        (together(("cancel", "", "requested"), ("settle", "1:a|dead", "ok"), ("get", "", "dead"), ("get", "", "cancelled")), State("running", "w", "1:a")),
    ],
)  # fmt: skip
def test_what_no_order_explains(ops: list[Op], begin: State) -> None:
    assert not is_linearizable(ops, begin)


def test_any_serial_run_of_the_model_is_found_again_whatever_overlaps() -> None:
    rng = Random(3)
    words = [
        ("retry", "", w) for w in ("done", "missing", "queued", "running", "completed", "retrying", "dead")
    ]
    words += [("cancel", "", w) for w in ("done", "requested", "missing", "completed", "dead", "cancelled")]
    words += [("claim", w, f) for w in "wv" for f in ("1:a", "2:b", "")]
    words += [
        ("settle", f"{f}|{o}", a)
        for f in ("1:a", "2:b")
        for o in ("dead", "released")
        for a in ("ok", "already", "refused")
    ]
    for _ in range(200):
        state, ops = State(), list[Op]()
        for at in range(14):
            possible = [said for said in words if step(state, Op(*said, 0, 0)) is not None]
            said = rng.choice(possible)
            # Its interval holds the instant at which it happened, and overlaps its neighbours'.
            op = Op(*said, at * 10 - rng.randrange(15), at * 10 + 1 + rng.randrange(15))
            state = step(state, op) or state
            ops.append(op)
        rng.shuffle(ops)
        assert is_linearizable(ops)
