"""The short forms of tests/chaos/growth.py and soak.py: the same questions at a small size. Speed is not asked here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge.embedded import find_server
from tests.chaos import growth, soak
from tests.chaos.scorecard import Row, Setting, printed

SEED = 20_261_124
# Of so few jobs, what else is in Redis weighs more than they do.
BY_SIZE = ("memory after the first fill, at most off by", "a dead job takes")


@pytest.fixture
def own_server() -> Iterator[Setting]:
    with tempfile.TemporaryDirectory(prefix="if-") as folder:  # a socket's path has to be short
        yield Setting(SEED, 1.0, Path(find_server()[0]), Path(folder), lambda _: None)


def _judge(name: str, rows: list[Row]) -> None:
    missed = [row for row in rows if row.ok is False and not row.timed and row.what not in BY_SIZE]
    assert not missed, printed(name, SEED, 0, rows)


async def test_what_is_completed_goes_and_nothing_stays_behind(own_server: Setting) -> None:
    sizes = growth.Sizes(completions=6_000, backlog=3_000, dead=2_000, pages=20, points=3, kept=1_000)
    _judge("growth", await growth.play(own_server, sizes))


async def test_mixed_faults_lose_nothing(own_server: Setting) -> None:
    _judge("soak", await soak.play(own_server, soak.Length(3.0, 0.4)))
