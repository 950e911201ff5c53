"""`ironforge doctor` as a process: clean on a healthy namespace, and it names what was damaged by hand."""

from __future__ import annotations

import json
import os
import pty
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
    assert "ironforge doctor --repair puts it right" in shown


async def test_what_it_does_not_repair_has_an_advice_that_helps(books: RedisQueue) -> None:
    job = await books.enqueue(NewJob("greet"))
    await books.client.set(books.keys.job("text"), "no job")
    await books.client.set(books.keys.prefix + "notes", "of somebody")
    await books.client.delete(books.keys.job(job.id))
    _doctor(books, 1, "--repair", "--yes")
    wrong = [check for check in _report(books, 1)["checks"] if not check["well"] and check["name"] != "books"]
    assert {check["name"] for check in wrong} == {"damaged", "unknown_key"}
    for check in wrong:
        advised = re.search(r"DEL \S+$", check["advice"])
        assert advised, check
        await books.client.execute_command(*advised[0].split())
    _report(books, 0)


async def test_repair_with_yes_makes_the_books_well_and_says_what_it_did(books: RedisQueue) -> None:
    kept, gone = await books.enqueue_many([NewJob("greet"), NewJob("greet")])
    await books.client.zrem(books.keys.index("default", "queued"), kept.id)
    await books.client.delete(books.keys.job(gone.id))
    shown = _doctor(books, 0, "--repair", "--yes")
    assert f"repaired not_indexed: {kept.id} is queued but in no list of queue default: " in shown
    assert (
        f"repaired ghost: {gone.id} is listed in default:queued" in shown and "1 entered as missing" in shown
    )
    assert await books.client.zscore(books.keys.index("default", "queued"), kept.id)
    _report(books, 0)


async def test_a_dry_run_tells_and_changes_nothing(books: RedisQueue) -> None:
    await books.client.zadd(books.keys.index("default", "dead"), {"ghost": 1})
    report = json.loads(_doctor(books, 1, "--dry-run", "--json"))
    (ghost,) = [one for one in report["repairs"] if one["rule"] == "ghost"]
    assert ghost["done"] == ["removed from default:dead"]
    assert await books.client.zscore(books.keys.index("default", "dead"), "ghost") == 1


async def test_repair_asks_and_without_an_answer_does_nothing(books: RedisQueue) -> None:
    await books.client.zadd(books.keys.index("default", "dead"), {"ghost": 1})
    primary, secondary = pty.openpty()
    with os.fdopen(primary, "wb", buffering=0) as terminal, os.fdopen(secondary) as stdin:
        asked = subprocess.Popen(
            ironforge("doctor", "--repair"), env=environment(books.url, books.namespace), stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        terminal.write(b"n\n")
        shown, _ = asked.communicate(timeout=60)
    assert "3 findings can be repaired; --dry-run says how. Repair them? (y/n)" in shown
    assert asked.returncode == 1
    assert await books.client.zscore(books.keys.index("default", "dead"), "ghost") == 1


def test_repair_without_a_terminal_needs_a_yes(durable: str, namespace: str) -> None:
    refused = subprocess.run(
        ironforge("doctor", "--repair"), env=environment(durable, namespace), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert refused.returncode == 2
    assert refused.stderr == "ironforge: --repair asks on a terminal; give --yes, or --dry-run to see first\n"


async def test_a_sample_is_a_quick_look(books: RedisQueue) -> None:
    await books.enqueue_many([NewJob("greet") for _ in range(3000)])
    shown = _doctor(books, 0, "--sample", "500")
    found = re.search(r"([\d,]+) jobs and ([\d,]+) index entries looked at, a sample", shown)
    assert found and 500 <= int(found[1].replace(",", "")) < 2000
    assert 50 <= int(found[2]) <= 500


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
