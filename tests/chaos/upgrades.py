"""A rolling deploy: this version and the next at work on one namespace, in real processes, some of them killed."""

from __future__ import annotations

import random
from collections import Counter

from ironforge.queue.backend import RedisQueue
from tests.chaos.closing import closing_row
from tests.chaos.scorecard import Row, Setting
from tests.redis_server import private_redis
from tests.upgrades.fleet import Outcome, Version, side_by_side
from tests.upgrades.variant import make_next

# Completed jobs that a namespace keeps are fewer than 20,000, and each has to be read at the end.
_AT_ONCE = 5_000


async def run(setting: Setting) -> list[Row]:
    """20,000 jobs, half of them in a form that only the next version reads; 40 kills; at last the old ones are gone."""
    rounds = -(-setting.of(20_000, 200) // _AT_ONCE)
    jobs, kills = setting.of(20_000, 200) // rounds, max(2, setting.of(40, 2) // rounds)
    next_version = make_next(setting.folder / "next")
    found: list[Outcome] = []
    with private_redis(binary=setting.redis_server) as server:
        for at in range(rounds):
            folder, namespace = setting.folder / f"round{at}", f"upgrades{at}"
            folder.mkdir()
            old = Version(folder, "old", server.url, namespace)
            new = Version(folder, "new", server.url, namespace, next_version)
            async with RedisQueue(server.url, namespace) as queue:
                setting.tell(
                    f"upgrades: round {at + 1} of {rounds}, {jobs:,} jobs by two versions, {kills} kills"
                )
                rng = random.Random(f"{setting.seed} {at}")
                found.append(await side_by_side(queue, old, new, jobs, kills, rng))
        closing = await closing_row(server.url)

    def total(of: str) -> int:
        return sum(getattr(one, of) for one in found)

    runs = sum((one.runs for one in found), Counter[int]())
    return [
        Row("jobs lost or not completed exactly once in the books", f"{total('lost')} of {total('jobs'):,}, {total('kills')} kills", "0", total("lost") == 0),
        Row("jobs of the newer form misread by the older version", f"{total('misread')} of {total('newer'):,}", "0", total("misread") == 0),
        Row("jobs charged a retry", f"{total('charged')} of {total('jobs'):,}", "0", total("charged") == 0),
        Row("runs by the older / the newer version", f"{runs[1]:,} / {runs[2]:,}"),
        Row("times the older one let a newer job go", f"{total('refused'):,}"),
        closing,
    ]  # fmt: skip
