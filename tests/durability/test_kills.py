"""A few SIGKILLs of Redis under load; `./forge chaos durability` makes a hundred of each."""

from __future__ import annotations

import random
from pathlib import Path

from tests.chaos.durability import killed_rows
from tests.chaos.scorecard import Setting, printed
from tests.durability.servers import ALWAYS, EMBEDDED


async def test_what_was_acknowledged_is_kept(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    rows = await killed_rows(Setting(seed, 0.03, Path(EMBEDDED), tmp_path, print), "always", ALWAYS)
    assert not [row for row in rows if row.ok is False and not row.timed], printed("always", seed, 0, rows)
