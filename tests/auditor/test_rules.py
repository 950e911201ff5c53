"""A planted violation of each rule is named by it; what may be repaired is, the rest stays as it is for a person."""

from __future__ import annotations

import pytest

from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.inspecting import Finding
from ironforge.queue.repair import Repaired, repair
from ironforge.queue.rules import RULES
from tests.auditor.plants import PLANTS
from tests.auditor.town import Plant, Town, every_key
from tests.queue.state import check_books

# Heads that do not move are in test_heads.py, other shards in test_shards.py.
ELSEWHERE = {"overdue", "unreaped", "wrong_shard"}


def test_every_rule_is_planted() -> None:
    assert {plant.rule for plant in PLANTS} | ELSEWHERE == set(RULES)
    assert all(RULES[plant.rule].repaired or not plant.repaired for plant in PLANTS)


async def found_in(queue: RedisQueue) -> list[Finding]:
    return (await audit(queue)).findings


async def repaired(queue: RedisQueue, *, dry_run: bool = False) -> list[Repaired]:
    return [one async for one in repair(queue, dry_run=dry_run)]


async def test_healthy_books_are_clean_and_a_repair_changes_nothing(town: Town) -> None:
    assert await found_in(town.queue) == []
    before = await every_key(town.queue)
    assert await repaired(town.queue) == []
    assert await every_key(town.queue) == before


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
async def test_planted(town: Town, plant: Plant) -> None:
    queue = town.queue
    await plant.damage(town)
    subject = town.ids.get(plant.subject, plant.subject)
    before = await every_key(queue)
    found = await found_in(queue)
    assert (plant.rule, subject) in {(one.rule, one.subject) for one in found}, found
    assert await every_key(queue) == before

    done = await repaired(queue)
    left = await found_in(queue)
    if plant.repaired:
        assert any(one.done for one in done) and left == []
        await check_books(queue)
    else:
        assert (plant.rule, subject) in {(one.rule, one.subject) for one in left}, left
    after = await every_key(queue)
    kept = {town.job(name).encode() for name in town.ids if name not in plant.loses}
    assert kept <= after.keys()
    if not plant.repaired and plant.subject != "running":
        keys = [one.key.encode() for one in left if one.rule == plant.rule]
        assert [after.get(key) for key in keys] == [before.get(key) for key in keys]


@pytest.mark.parametrize(
    "plant", [plant for plant in PLANTS if plant.repaired][::9], ids=lambda plant: plant.name
)
async def test_a_dry_run_says_what_a_repair_does_and_does_nothing(town: Town, plant: Plant) -> None:
    await plant.damage(town)
    before = await every_key(town.queue)
    told = await repaired(town.queue, dry_run=True)
    assert await every_key(town.queue) == before
    # A job that has lost its hash is missing once its entry is gone: the ledger cannot know before.
    done = [one for one in await repaired(town.queue) if one.finding.rule != "ledger"]
    assert {one.finding for one in told} >= {one.finding for one in done}
    assert {word for one in told for word in one.done} >= {word for one in done for word in one.done}
