"""`ironforge doctor` as a process: clean on a healthy namespace, and it names what was damaged by hand."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.system.processes import durable_redis, environment, ironforge


@pytest.fixture(scope="module")
def durable() -> Iterator[str]:
    with durable_redis() as url:
        yield url


@pytest.fixture
async def books(durable: str, namespace: str) -> AsyncIterator[RedisQueue]:
    async with RedisQueue(durable, namespace) as opened:
        yield opened


def _doctor(queue: RedisQueue, code: int, *words: str) -> str:
    done = subprocess.run(
        ironforge("doctor", *words),
        env=environment(queue.url, queue.namespace),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stderr == ""
    return done.stdout


def _report(queue: RedisQueue, code: int) -> dict[str, Any]:
    report = json.loads(_doctor(queue, code, "--json"))
    assert report["well"] == (code == 0)
    return report


def _checks(queue: RedisQueue, code: int) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in _report(queue, code)["checks"]}


async def test_all_is_well(books: RedisQueue) -> None:
    await books.enqueue_many([NewJob("greet") for _ in range(3)])
    checks = _checks(books, 0)
    assert {"server", "eviction", "durability", "clock", "memory", "scripts", "books"} == set(checks)
    assert "3 jobs and 3 index entries" in checks["books"]["detail"]


async def test_a_deleted_hash_and_a_ghost_are_named_with_what_to_do(books: RedisQueue) -> None:
    job = await books.enqueue(NewJob("greet"))
    await books.client.delete(books.keys.job(job.id))
    await books.client.zadd(books.keys.index("default", "dead"), {"ghost\x1b[31m": 1})
    shown = _doctor(books, 1)
    assert f"{job.id} is listed in default:queued, but there is no such job" in shown
    assert "ghost␛[31m is listed in default:dead" in shown and "\x1b" not in shown
    assert f"ZREM {books.keys.index('default', 'queued')} {job.id}" in shown


async def test_its_advice_makes_the_books_well(books: RedisQueue) -> None:
    job = await books.enqueue(NewJob("greet"))
    await books.client.delete(books.keys.job(job.id))
    await books.client.zadd(books.keys.index("default", "dead"), {"ghost": 1})
    await books.client.sadd(books.keys.claims("gone"), "ghost")
    await books.client.set(books.keys.job("text"), "no job")
    wrong = [check for check in _report(books, 1)["checks"] if not check["well"] and check["name"] != "books"]
    assert len(wrong) == 4
    for check in wrong:
        advised = re.search(r"(?:ZREM|SREM|DEL) \S+(?: \S+)?$", check["advice"])
        assert advised, check
        await books.client.execute_command(*advised[0].split())
    _report(books, 0)


async def test_it_changes_nothing(books: RedisQueue) -> None:
    await books.enqueue(NewJob("greet"))
    await books.client.zadd(books.keys.index("default", "dead"), {"ghost": 1})

    async def everything() -> dict[bytes, bytes]:
        keys = [key async for key in books.client.scan_iter(f"{books.namespace}:*")]
        return {key: await books.client.dump(key) for key in keys}

    before = await everything()
    _doctor(books, 1)
    assert await everything() == before


async def test_a_redis_that_keeps_nothing_or_evicts_is_not_well(redis_url: str, namespace: str) -> None:
    async with RedisQueue(redis_url, namespace) as queue:
        await queue.client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            checks = _checks(queue, 1)
        finally:
            await queue.client.config_set("maxmemory-policy", "noeviction")
    assert not checks["durability"]["well"] and "appendonly yes" in checks["durability"]["advice"]
    assert not checks["eviction"]["well"] and "noeviction" in checks["eviction"]["advice"]
    assert checks["books"]["well"]
