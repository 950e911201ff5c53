"""Many callers at once: 50 submits under each of 1,000 keys, 8 retries of each of 1,000 dead jobs, and 100,000 operations
of racing clients whose every answer has to fit some serial order."""

from __future__ import annotations

from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from tests.chaos.pacing import all_row, count_row
from tests.chaos.scorecard import Row, Setting
from tests.faults.racers import race
from tests.faults.races import retry_races, submit_races, transport
from tests.redis_server import private_redis

KEYS, SUBMITS = 1_000, 50
DEAD, RETRIES = 1_000, 8
OPERATIONS = 100_000


async def run(setting: Setting) -> list[Row]:
    with private_redis(binary=setting.redis_server) as server:
        return [
            *await _submits(setting, server.url),
            *await _retries(setting, server.url),
            *await _histories(setting, server.url),
        ]


async def _submits(setting: Setting, url: str) -> list[Row]:
    keys = setting.of(KEYS, 20)
    found = await submit_races(url, "keys", keys, SUBMITS, setting.tell)
    return [
        Row(f"jobs of {keys:,} keys, each submitted {SUBMITS} times at once", f"{found.jobs:,}", f"{keys:,}", found.jobs == keys),
        all_row("… submits that were told they made the job", found.made, keys),
        count_row("… keys that gave more than one id", found.unequal, keys),
    ]  # fmt: skip


async def _retries(setting: Setting, url: str) -> list[Row]:
    dead = setting.of(DEAD, 25)
    forge = Forge(settings=Settings(redis_url=url, namespace="dead"))
    async with RedisQueue(url, "dead") as queue:
        found = await retry_races(transport(forge), queue, dead, RETRIES)
    await forge.aclose()
    refused = found.others[409]
    return [
        all_row(f"dead jobs, retried by {RETRIES} at once over HTTP, of which exactly one succeeded", found.successes[1], dead),
        all_row("… retries that were refused with 409", refused, dead * (RETRIES - 1)),
        all_row("… jobs that are queued once, of the next generation", min(found.generations[1], found.queued), dead),
    ]  # fmt: skip


async def _histories(setting: Setting, url: str) -> list[Row]:
    operations = setting.of(OPERATIONS, 2_000)
    found = await race(url, "racers", operations, setting.seed, setting.tell)
    async with RedisQueue(url, "racers") as queue:
        looked = await audit(queue)
    first = [f"{op}" for ops in found.unexplained[:1] for op in sorted(ops, key=lambda op: op.called)]
    return [
        Row("operations of 8 racing clients", f"{found.operations:,} on {found.jobs:,} jobs"),
        count_row("… histories that no serial order explains", len(found.unexplained), found.jobs),
        count_row("… what the auditor finds", len(looked.findings), found.jobs),
        *(Row("", line, "", False) for line in first),
    ]
