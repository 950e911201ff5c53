"""A fifth of all replies never arrives, over every verb: what is sent again has its effect once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.faults.replies import run_actors, unused_scripts

OPERATIONS, SEED = 1_000, 1


async def test_nothing_is_done_twice_and_nothing_is_lost(redis_url: str, namespace: str) -> None:
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        outcome = await run_actors(redis_url, namespace, Path(folder), OPERATIONS, SEED)
    assert outcome.verdict.is_clean, outcome.verdict
    assert outcome.operations.total() >= OPERATIONS
    cut, seen = outcome.cut.total(), outcome.seen.total()
    assert cut > 0.1 * seen, f"{cut} of {seen} were cut"
    assert not unused_scripts(outcome.seen), "a new verb: an Actor has to do it too"
