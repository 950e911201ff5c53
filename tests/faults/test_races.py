"""Short forms of the races: each effect once, and every answer explained by some serial order."""

from __future__ import annotations

from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from tests.faults.racers import race
from tests.faults.races import retry_races, submit_races, transport


async def test_a_key_submitted_fifty_times_at_once_is_one_job(redis_url: str, namespace: str) -> None:
    found = await submit_races(redis_url, namespace, keys=20, times=50)
    assert (found.submits, found.jobs, found.made, found.unequal) == (1000, 20, 20, 0)


async def test_a_dead_job_retried_eight_times_at_once_is_retried_once(
    redis_url: str, namespace: str, direct: RedisQueue
) -> None:
    forge = Forge(settings=Settings(redis_url=redis_url, namespace=namespace))
    found = await retry_races(transport(forge), direct, jobs=25, times=8)
    await forge.aclose()
    assert found.successes == {1: 25} and found.others == {409: 175}
    assert found.generations == {1: 25} and found.queued == 25


async def test_racing_clients_see_what_one_after_another_would_have_seen(
    redis_url: str, namespace: str, direct: RedisQueue
) -> None:
    found = await race(redis_url, namespace, 2_000, seed=1)
    assert found.operations >= 2_000 and found.unexplained == []
    assert (
        found.effects["claim"] > 50 and found.effects["settle ok"] > 20 and found.effects["retry done"] > 20
    )
    assert found.effects["settle refused"] and found.effects["settle already"], "old fences were tried"
    assert not (await audit(direct)).findings
