"""100,000 operations over every verb while a fifth of all replies never arrives: nothing is done twice, nothing lost."""

from __future__ import annotations

from tests.chaos.pacing import count_row
from tests.chaos.scorecard import Row, Setting
from tests.faults.replies import Outcome, run_actors, unused_scripts
from tests.redis_server import private_redis

OPERATIONS = 100_000
SOME = 3


async def run(setting: Setting) -> list[Row]:
    operations = setting.of(OPERATIONS, 2_000)
    with private_redis(binary=setting.redis_server) as server:
        outcome = await run_actors(
            server.url, "replies", server.folder, operations, setting.seed, setting.tell
        )
    return rows_of(outcome)


def rows_of(outcome: Outcome) -> list[Row]:
    verdict, operations = outcome.verdict, outcome.operations.total()
    cut = outcome.cut.total()
    seen = outcome.seen.total() - outcome.seen["HELLO"]  # the greeting of each connection is spared
    missing = unused_scripts(outcome.cut)
    scripts = {name: times for name, times in outcome.cut.items() if name.islower()}
    least = min(scripts.items(), key=lambda item: item[1])
    return [
        Row("operations, and how often they were sent", f"{operations:,}, {outcome.sent:,}"),
        Row("exchanges whose reply never arrived", f"{cut:,} of {seen:,} ({cut / seen:.1%})"),
        Row(
            "scripts whose replies were cut, the rarest",
            f"{len(scripts)}, {least[0]} {least[1]} times" + "".join(f"; never {name}" for name in missing),
            "every one that changes something", not missing,
        ),
        count_row("double effects", len(verdict.doubled), operations),
        count_row("acknowledged effects lost", len(verdict.lost), operations),
        count_row("answers that cannot be", len(verdict.wrong), operations),
        Row("counters that differ from the callers' books", f"{len(verdict.statistics)}", "0", not verdict.statistics),
        count_row("what the auditor finds", len(verdict.findings), verdict.jobs),
        *(Row("", words, "", False) for words in (verdict.doubled + verdict.lost + verdict.wrong + verdict.statistics)[:SOME]),
    ]  # fmt: skip
