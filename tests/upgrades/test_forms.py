"""A job in a form that only a newer version knows: left alone, left waiting, and shown as what it is."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from ironforge import Forge
from ironforge.errors import InvalidTransition, StartupError
from ironforge.job import FORMAT, Job, JobStatus, NewJob
from ironforge.outcome import after_newer_format
from ironforge.queue.backend import RedisQueue
from ironforge.queue.codec import enqueue_arguments, job_from_hash
from ironforge.queue.keys import namespace_meta
from ironforge.queue.readings import WorkerInfo
from ironforge.queue.versions import refuse_outdated
from ironforge.server.app import create_app
from ironforge.worker.crew import Crew, CrewOptions
from tests.queue.state import check_books
from tests.waiting import eventually

NEWER = str(FORMAT + 1).encode()


async def _newer(queue: RedisQueue, kind: str = "echo", **new: object) -> Job:
    """As a newer version would leave it: what this one would read as payload is something else there."""
    job = await queue.enqueue(NewJob(kind, b'{"mark":1}', max_retries=0, **new))  # type: ignore[arg-type]
    strange = {
        "format": NEWER,
        "payload": b"\x00not JSON",
        "tags": b"5",
        "attempt:1": b"other",
        "attempt_count": b"1",
    }
    await queue.client.hset(queue.keys.job(job.id), mapping=strange)
    return job


def test_a_job_of_this_form_pays_nothing_for_it() -> None:
    assert FORMAT == 1 and "format" not in enqueue_arguments(NewJob("echo"))


@pytest.mark.parametrize("stored", [NEWER, b"1000000", b"2.0", b"x", b""])
def test_nothing_is_read_that_may_mean_something_else(stored: bytes) -> None:
    job = job_from_hash(
        "j",
        {
            b"format": stored,
            b"payload": b'{"a":1}',
            b"kind": b"echo",
            b"result": b"1",
            b"tags": b'["a"]',
            b"timeout_ms": b"1",
        },
    )
    assert job.is_newer and job.kind == "echo"
    assert (job.payload_json, job.result_json, job.tags, job.timeout_s) == (b"null", None, [], None)
    assert job.last_error and job.last_error.type == "NewerFormat"


@pytest.mark.parametrize("stored", [b"1", b"0"])
def test_an_older_form_is_read(stored: bytes) -> None:
    job = job_from_hash("j", {b"format": stored, b"payload": b'{"a":1}'})
    assert not job.is_newer and job.payload == {"a": 1}


def test_it_is_offered_less_and_less_often() -> None:
    waits = [
        after_newer_format(Job("j", "k", "q", JobStatus.RUNNING, fence=f"{at}:t")).delay_ms
        for at in range(1, 40)
    ]
    assert waits[:4] == [500, 1000, 2000, 4000] and waits[-1] == 60_000
    assert after_newer_format(Job("j", "k", "q", JobStatus.RUNNING, fence="odd")).delay_ms == 500


async def test_a_worker_lets_it_go_uncharged_and_runs_the_others(queue: RedisQueue, redis_url: str) -> None:
    forge, ran = Forge(redis_url, namespace=queue.namespace), list[int]()

    @forge.task("echo")
    async def echo(mark: int = -1) -> None:  # pyright: ignore[reportUnusedFunction]
        ran.append(mark)

    newer, unknown, ours = (
        await _newer(queue),
        await _newer(queue, "unknown"),
        await queue.enqueue(NewJob("echo", b'{"mark":2}')),
    )
    assert await queue.register("w", WorkerInfo("h", 1, 1, "", ("default",), 4), lease_ms=60_000)
    crew = Crew(queue, "w", forge.tasks, CrewOptions(concurrency=4))
    serving = asyncio.create_task(crew.serve())

    async def again() -> bool:
        """Offered twice: nothing else is done with it however often."""
        fences = [(await queue.get(job.id)).fence for job in (newer, unknown)]
        return all(int(fence.partition(":")[0] or 0) >= 2 for fence in fences)

    await eventually(again, 10)
    crew.stop()
    await serving
    assert ran == [2] and (await queue.get(ours.id)).status is JobStatus.COMPLETED
    for job in (newer, unknown):
        found = await queue.get(job.id)
        assert found.status in (JobStatus.RETRYING, JobStatus.QUEUED)
        assert (found.retry_count, found.crashes, found.lapses, found.reason) == (0, 0, 0, None)
    await check_books(queue)


async def test_the_server_shows_it_as_such(queue: RedisQueue, redis_url: str) -> None:
    job = await _newer(queue)
    waiting = await _newer(queue, delay_ms=60_000)
    forge = Forge(redis_url, namespace=queue.namespace)
    transport = httpx.ASGITransport(create_app(forge), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        shown = (await client.get(f"/jobs/{job.id}")).json()
        assert (shown["format"], shown["kind"], shown["status"]) == (FORMAT + 1, "echo", "queued")
        assert (shown["payload"], shown["attempts"], shown["tags"]) == (None, [], [])
        assert (
            shown["last_error"]["type"] == "NewerFormat" and "newer version" in shown["last_error"]["message"]
        )
        listed = (await client.get("/jobs")).json()["jobs"]
        assert {one["id"] for one in listed} == {job.id, waiting.id}
        ours = (await client.post("/jobs", json={"kind": "echo"})).json()
        assert "format" not in ours
        assert (await client.post(f"/jobs/{waiting.id}/run")).status_code == 200
        assert (await client.post(f"/jobs/{job.id}/cancel")).status_code == 200
        refused = await client.post(f"/jobs/{job.id}/retry", json={"payload": {"mark": 3}})
        assert refused.status_code == 409 and "newer version" in refused.json()["detail"]
        assert (await client.post(f"/jobs/{job.id}/retry")).json()["status"] == "queued"
        assert (await client.delete(f"/jobs/{job.id}")).status_code == 204
    await forge.aclose()
    await queue.cancel(waiting.id)
    with pytest.raises(InvalidTransition, match="newer version"):
        await queue.retry_as_new(waiting.id, b"{}")
    await check_books(queue)


async def test_a_namespace_tells_what_it_was_made_with(redis_url: str, namespace: str) -> None:
    from ironforge import __version__

    meta = namespace_meta(namespace)
    async with RedisQueue(redis_url, namespace) as first:
        await first.open()
        found = await first.client.hgetall(meta)
        assert (found[b"made_by"], found[b"format"], found[b"shards"]) == (__version__.encode(), b"1", b"1")
        await first.client.hset(meta, mapping={"made_by": "0.0.9", "needs:1": "0.1.0"})
    async with RedisQueue(redis_url, namespace) as second:
        await second.open()
        assert (await second.client.hgetall(meta))[b"made_by"] == b"0.0.9", "whoever came first"
        await second.client.hset(meta, f"needs:{FORMAT + 1}", "7.0.0")
    third = RedisQueue(redis_url, namespace)
    with pytest.raises(StartupError, match=r"is used by IronForge 7\.0\.0.*upgrade it here too"):
        await third.enqueue(NewJob("echo"))
    await third.close()


def test_what_is_in_meta_is_not_trusted() -> None:
    refuse_outdated(
        {b"needs:": b"1", b"needs:x": b"1", b"needs": b"9", b"other:9": b"1", b"needs:1": b"\xff"}, "n"
    )
    with pytest.raises(StartupError):
        refuse_outdated({b"needs:2": b"\xff"}, "n")
