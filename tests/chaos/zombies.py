"""Workers that lost their jobs and go on: not one write of theirs counts, and what nobody took from them does."""

from __future__ import annotations

import asyncio
from random import Random
from typing import NamedTuple

from tests.chaos.closing import closing_row
from tests.chaos.frozen import FrozenTally, reclaimed, unclaimed
from tests.chaos.pacing import all_row, count_row
from tests.chaos.rolled_back import RolledBack, rolled_back
from tests.chaos.scorecard import Row, Setting
from tests.chaos.stale import Tally, late_rounds, stale_rounds
from tests.redis_server import RedisServer

ROUNDS, STOPPED, LATE, ROLLBACKS, JOBS_PER_ROLLBACK = 440, 60, 100, 5, 100
GROUPS, SLOTS = 3, 4


class Sizes(NamedTuple):
    """`stages`: each with its own stopped processes. `still`: jobs that nobody takes while everything stands still."""

    rounds: int
    late: int
    rollbacks: int
    stages: int = 0
    still: int = 0


async def run(setting: Setting) -> list[Row]:
    stages = setting.of(STOPPED // (GROUPS * SLOTS))
    late = setting.of(LATE, 20)
    return await play(setting, Sizes(setting.of(ROUNDS, 50), late, setting.of(ROLLBACKS), stages, late))


async def play(setting: Setting, sizes: Sizes) -> list[Row]:
    """The scenario at any size."""
    server = RedisServer(
        setting.folder, str(setting.redis_server), "--appendonly", "yes", "--appendfsync", "always"
    )
    server.start()
    rng = Random(setting.seed)
    try:
        setting.tell("zombies: within one process")
        made = await stale_rounds(server.url, sizes.rounds, rng)
        made += await late_rounds(server.url, sizes.late, rng)
        setting.tell("zombies: with Redis rolled back")
        back = [
            await rolled_back(server, JOBS_PER_ROLLBACK, rng, f"back{at}") for at in range(sizes.rollbacks)
        ]
        setting.tell("zombies: with stopped processes")
        real = await _stopped(setting, sizes, server.url)
        closing = await closing_row(server.url)
    finally:
        server.stop()
    return [*_rows(made, real, back), closing]


async def _stopped(setting: Setting, sizes: Sizes, url: str) -> FrozenTally:
    """All of them at the same time, each in a namespace of its own: they mostly wait for leases to run out."""
    stages = [
        reclaimed(url, f"frozen{at}", setting.folder / f"frozen{at}", GROUPS, SLOTS)
        for at in range(sizes.stages)
    ]
    if sizes.still:
        stages.append(unclaimed(url, "still", setting.folder / "still", sizes.still))
    return sum(await asyncio.gather(*stages), FrozenTally())


def _rows(made: Tally, real: FrozenTally, back: list[RolledBack]) -> list[Row]:
    writes, refused, same, stands, changed = (sum(one) for one in zip(*back, strict=True))
    rows = [
        count_row("stale writes accepted, zombies in one process", made.accepted, made.writes),
        count_row("… times that anything else in the namespace changed", made.changed, 3 * made.rounds),
        all_row("… the other worker's result stands", made.stands, made.rounds),
        count_row("Redis rolled back: settlements accepted under the same delivery number", writes - refused, same),
        all_row("… delivery numbers that were given out twice", same, writes),
        count_row("… times that anything else changed", changed, len(back)),
        all_row("… the other worker's result stands", stands, writes),
        all_row("late, but nobody had taken it: settled, lease renewed", made.late_accepted, made.late),
    ]  # fmt: skip
    if real.late:
        rows.append(all_row("… with stopped processes, none ran again", real.late_accepted, real.late))
    if real.rounds:
        rows += [
            all_row("stopped processes continued: the job still runs as the other's", real.unharmed, real.rounds),
            all_row("… the other worker's result stands", real.stands, real.rounds),
            Row("… settlements that zombies sent, all refused", f"{real.tried} of {real.rounds}", "some", real.tried > 0),
        ]  # fmt: skip
    return rows
