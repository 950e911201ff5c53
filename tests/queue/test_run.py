from __future__ import annotations

import pytest

from ironforge.errors import InvalidTransition
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, dump, structure
from tests.queue.stopped import Stopped


async def test_a_scheduled_job_runs_now(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=60_000))
    assert (await queue.run_now(job.id)).status is JobStatus.QUEUED
    assert await queue.wait_for_wake(["default"], 0.5) == "default"
    assert [claimed.id for claimed in await lane.claim()] == [job.id]


async def test_a_retrying_job_runs_now_and_keeps_its_count(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    await lane.settle(job, "retry", error_json=ERROR, delay_ms=60_000, fingerprint="f")
    assert (await queue.run_now(job.id)).retry_count == 1
    assert "q:default:retrying" not in await structure(queue)


async def test_a_queued_job_cannot_be_run_sooner(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    before = await dump(queue)
    with pytest.raises(InvalidTransition, match="queued"):
        await queue.run_now(job.id)
    assert await dump(queue) == before


async def test_what_it_writes_to_the_millisecond(stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=60_000, rank=0)
    stopped.later(100)
    version = await stopped.version()
    assert await stopped.call("run", "a", "", "") == "done"
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["run_at"]) == ("queued", str(stopped.now_ms))
    assert await stopped.scores("q:mail:queued") == {"a": stopped.place(0)}
    assert await stopped.scores("q:mail:scheduled") == {}
    assert await stopped.woken() and await stopped.version() == version + 1


async def test_a_suspect_that_waits_becomes_a_suspect(stopped: Stopped) -> None:
    for at, crashes in enumerate((1, 2)):
        await stopped.enqueue(f"j{at}", when="in", ms=60_000)
        await stopped.put(f"job:j{at}", "HSET", "crashes", crashes)
        assert await stopped.call("run", f"j{at}", "", "") == "done"
    assert list(await stopped.scores("q:mail:queued")) == ["j0"]
    assert list(await stopped.scores("q:mail:suspects")) == ["j1"]


async def test_under_a_key_it_acts_once(stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=60_000)
    assert await stopped.call("run", "missing", "", "") == "missing"
    assert await stopped.call("run", "a", "key", "hash") == "done"
    assert await stopped.call("run", "a", "key", "hash") == "done"
    assert await stopped.call("run", "a", "key", "other") == "key_conflict"
    assert await stopped.call("run", "a", "", "") == "queued"


async def test_a_job_of_the_usual_priority_goes_to_its_place(stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=60_000)
    assert await stopped.call("run", "a", "", "") == "done"
    assert await stopped.scores("q:mail:queued") == {"a": stopped.place(2)}
