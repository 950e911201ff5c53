"""A rolling deploy: this version and the next at work on one namespace, in real processes, some of them killed."""

from __future__ import annotations

import random

from ironforge.queue.backend import RedisQueue
from tests.chaos.arena import private_server
from tests.chaos.closing import closing_row
from tests.chaos.scorecard import Row, Setting
from tests.upgrades.fleet import Version, side_by_side
from tests.upgrades.variant import make_next


async def run(setting: Setting) -> list[Row]:
    """20,000 jobs, half of them in a form that only the next version reads; 40 kills; at last the old ones are gone."""
    jobs, kills = setting.of(20_000, 200), setting.of(40, 2)
    next_version = make_next(setting.folder / "next")
    with private_server(setting) as server:
        old = Version(setting.folder, "old", server.url, "upgrades")
        new = Version(setting.folder, "new", server.url, "upgrades", next_version)
        async with RedisQueue(server.url, "upgrades") as queue:
            setting.tell(f"upgrades: {jobs:,} jobs by two versions, {kills} kills")
            found = await side_by_side(queue, old, new, jobs, kills, random.Random(setting.seed))
        closing = await closing_row(server.url)
    return [
        Row("jobs lost or not completed exactly once in the books", f"{found.lost} of {found.jobs:,}, {found.kills} kills", "0", found.lost == 0),
        Row("jobs of the newer form misread by the older version", f"{found.misread} of {found.newer:,}", "0", found.misread == 0),
        Row("jobs charged a retry", f"{found.charged} of {found.jobs:,}", "0", found.charged == 0),
        Row("runs by the older / the newer version", f"{found.runs[1]:,} / {found.runs[2]:,}"),
        Row("times the older one let a newer job go", f"{found.refused:,}"),
        closing,
    ]  # fmt: skip
