"""Damage at random, by a seed: everything is found, what may be repaired is, and no hash is ever removed."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import INDEXES
from ironforge.queue.repair import repair
from ironforge.queue.rules import RULES
from tests.auditor.town import Town, build, every_key
from tests.queue.state import check_books

ROUNDS = 6
SEEDS = (*range(8), 1032, 1076, None)  # None: another one each time; a failure names it
BAND = 2**51


@pytest.fixture
async def queue(redis_url: str, namespace: str) -> AsyncIterator[RedisQueue]:
    async with RedisQueue(redis_url, namespace) as opened:
        yield opened


async def _damage(town: Town, rng: random.Random) -> str:
    """One thing done to a key, in words."""
    client, keys = town.queue.client, town.queue.keys
    name = rng.choice(sorted(town.ids))
    job_id, where = town.ids[name], rng.choice(("default", "mail", "poison", "nowhere"))
    part = rng.choice(INDEXES)
    wid = rng.choice(("w1", "gone"))
    fingerprint = rng.choice(("f1", "f2"))
    score = rng.choice((1, 5e12, 2 * BAND + 5, rng.random() * 2**53))
    match rng.randrange(14):
        case 0:
            words = ("ZADD", keys.index(where, part), score, job_id)
        case 1:
            words = ("ZREM", keys.index(where, part), job_id)
        case 2:
            words = ("DEL", keys.index(where, part))
        case 3:
            words = ("ZADD", keys.index(where, part), score, f"ghost{rng.randrange(5)}")
        case 4:
            words = ("HSET", keys.job(job_id), "status", rng.choice(INDEXES[:7]))
        case 5:
            field = rng.choice(
                ("worker", "cancel_requested", "fingerprint", "run_at", "finished_at", "started_at")
            )
            words = ("HDEL", keys.job(job_id), field)
        case 6:
            words = ("SADD", keys.claims(wid), rng.choice((job_id, "ghost")))
        case 7:
            words = ("DEL", rng.choice((keys.claims(wid), keys.orders(wid), keys.dead_groups, keys.queues)))
        case 8:
            words = ("ZREM", keys.workers, wid)
        case 9:
            words = ("ZADD", keys.dead_group(fingerprint), 1, job_id)
        case 10:
            words = ("ZINCRBY", keys.dead_groups, rng.randrange(-3, 4), fingerprint)
        case 11:
            words = ("DEL", keys.settings(where))
        case 12:
            words = ("HSET", keys.job(job_id), "fingerprint", fingerprint)
        case _:
            words = ("HSET", keys.worker(wid), "alone", job_id)
    await client.execute_command(*words)
    return f"{name}: {words}"


@pytest.mark.parametrize("seed", SEEDS)
async def test_damage_at_random(queue: RedisQueue, seed: int | None) -> None:
    seed = random.randrange(1_000_000) if seed is None else seed
    rng = random.Random(seed)
    town = await build(queue)
    done = [await _damage(town, rng) for _ in range(rng.randrange(1, 25))]
    hashes = {key for key in await every_key(queue) if b":job:" in key}
    for _ in range(ROUNDS):  # what hides behind a damage shows at the next look
        async for _ in repair(queue):
            pass
        left = (await audit(queue)).findings
        if not any(RULES[one.rule].repaired for one in left):
            break
    assert not [one for one in left if RULES[one.rule].repaired], (seed, done, left)
    assert {key for key in await every_key(queue) if b":job:" in key} == hashes, (seed, done)
    print(f"seed {seed}")  # shown where the next line fails
    await check_books(queue)
