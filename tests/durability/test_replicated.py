"""`replicated`: a job is accepted once a replica has it; else it is said that nobody knows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ironforge.config import Settings
from ironforge.errors import NotConfirmed
from ironforge.forge import Forge
from ironforge.job import Job, NewJob
from ironforge.queue import durability
from ironforge.queue.backend import RedisQueue
from tests.durability.servers import DEBIAN, EMBEDDED, Pair, pair
from tests.server.conftest import Served
from tests.system.bench import Bench
from tests.waiting import eventually


@pytest.fixture(scope="module", params=["embedded", "debian"])
def redis(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """WAIT looks at other things in 7.0 than in later versions, so both are asked."""
    if request.param == "debian" and not DEBIAN:
        pytest.skip("needs redis-server")
    with pair(DEBIAN if request.param == "debian" else EMBEDDED) as both:
        yield both


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that answers does so also on a busy machine."""
    monkeypatch.setattr(durability, "CONFIRM_MS", 4_000)


@contextmanager
def silent(redis: Pair) -> Iterator[None]:
    """The replica does not answer, however long it is waited for."""
    with redis.replica.frozen(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(durability, "CONFIRM_MS", 300)
        yield


@pytest.fixture
async def queue(redis: Pair, namespace: str) -> AsyncIterator[RedisQueue]:
    async with RedisQueue(redis.primary.url, namespace, durability="replicated") as opened:
        yield opened


@pytest.fixture
async def http(redis: Pair, namespace: str) -> AsyncIterator[httpx.AsyncClient]:
    forge = Forge(
        settings=Settings(redis_url=redis.primary.url, namespace=namespace, durability="replicated")
    )
    served = Served(forge)
    async with httpx.AsyncClient(base_url=served.url, timeout=10) as client:
        yield client
    await served.stop()
    await forge.aclose()


async def _confirmed(queue: RedisQueue) -> Job:
    """Sent again until a replica has it, as a caller does: on a busy machine it may not answer the first time."""
    new = NewJob("greet").with_id()

    async def accepted() -> Job | None:
        try:
            return await queue.enqueue(new)
        except NotConfirmed:
            return None

    job = await eventually(accepted, 30, "a replica confirmed")
    assert job
    return job


async def _depth(queue: RedisQueue) -> int:
    return (await queue.read_queue("default")).queued


async def test_what_is_accepted_is_on_the_replica(redis: Pair, queue: RedisQueue) -> None:
    jobs = [await queue.enqueue(NewJob("greet")), *await queue.enqueue_many([NewJob("greet")] * 3)]
    with redis.replica.client() as replica:
        assert replica.exists(*(queue.keys.job(job.id) for job in jobs)) == len(jobs)
    found = await queue.health()
    assert (found.durability, found.asked, found.replicas) == ("replicated", "replicated", 1)


async def test_awaits_of_one_tick_share_one_pipeline(redis: Pair, queue: RedisQueue) -> None:
    def waits() -> int:
        with redis.primary.client() as client:
            return int(client.info("commandstats").get("cmdstat_wait", {"calls": 0})["calls"])

    await queue.enqueue(NewJob("greet"))
    before = waits()
    await asyncio.gather(*(queue.enqueue(NewJob("greet")) for _ in range(100)))
    assert waits() - before == 1


async def test_a_silent_replica_confirms_nothing(
    redis: Pair, queue: RedisQueue, http: httpx.AsyncClient
) -> None:
    with silent(redis):
        one, two, many, answer = await asyncio.gather(
            queue.enqueue(NewJob("greet")),
            queue.enqueue(NewJob("greet")),
            queue.enqueue_many([NewJob("greet") for _ in range(3)]),
            http.post("/jobs", json={"kind": "greet"}),
            return_exceptions=True,
        )
    assert isinstance(one, NotConfirmed) and one.job_id and (await queue.get(one.job_id)).kind == "greet"
    assert isinstance(two, NotConfirmed) and two.job_id and two.job_id != one.job_id, (
        "each hears of its own job"
    )
    assert isinstance(many, NotConfirmed) and len(many.job_ids) == 3 and many.job_id is None
    assert isinstance(answer, httpx.Response)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    document = answer.json()
    assert document["type"] == "not_confirmed" and document["job_ids"] == [document["job_id"]]
    assert "same Idempotency-Key" in document["detail"] and "redis" not in answer.headers.get("location", "")
    assert (await http.get(f"/jobs/{document['job_id']}")).status_code == 200, (
        "it may exist, and here it does"
    )


async def test_sent_again_under_its_key_it_is_the_same_job_once_it_is_confirmed(
    redis: Pair, queue: RedisQueue, http: httpx.AsyncClient
) -> None:
    async def send() -> httpx.Response:
        return await http.post("/jobs", json={"kind": "greet"}, headers={"Idempotency-Key": "k-1"})

    with silent(redis):
        first = await send()
        again = await send()  # the job is there, which says nothing about the replica
    assert [first.json()["type"], again.json()["type"]] == ["not_confirmed", "not_confirmed"]
    third, fourth = await send(), await send()
    assert [third.status_code, fourth.status_code] == [200, 200]
    assert {
        answer.json().get("job_id") or answer.json()["id"] for answer in (first, again, third, fourth)
    } == {third.json()["id"]}
    assert await _depth(queue) == 1
    with redis.replica.client() as replica:
        assert replica.exists(queue.keys.job(third.json()["id"]))


async def test_a_job_that_is_there_is_no_proof_for_a_connection_that_wrote_nothing(
    redis: Pair, queue: RedisQueue
) -> None:
    """From Redis 7.2 on, WAIT only looks at what its own connection wrote."""
    new = NewJob("greet")
    with silent(redis):
        with pytest.raises(NotConfirmed):
            await queue.enqueue(new)
        async with RedisQueue(redis.primary.url, queue.namespace, durability="replicated") as other:
            with pytest.raises(NotConfirmed):
                await other.enqueue(new)

    async def confirmed() -> bool:
        try:
            return (await queue.enqueue(new)).id == new.id
        except NotConfirmed:
            return False

    await eventually(confirmed, 30, "the replica that goes on confirms it")
    assert await _depth(queue) == 1


async def test_a_batch_is_told_which_jobs_are_not_confirmed(
    redis: Pair, queue: RedisQueue, http: httpx.AsyncClient
) -> None:
    async def send(key: str | None) -> httpx.Response:
        jobs = [{"kind": "greet"}, {"kind": "greet", "idempotency_key": "own"}, {"kind": "greet"}]
        headers = {"Idempotency-Key": key} if key else {}
        return await http.post("/jobs/batch", json={"jobs": jobs}, headers=headers)

    with silent(redis):
        plain, keyed = await send(None), await send("batch-1")
    assert [plain.status_code, keyed.status_code] == [503, 503]
    assert len(plain.json()["job_ids"]) == 2, "those without a key go first, together"
    assert keyed.json()["type"] == "not_confirmed" and len(keyed.json()["job_ids"]) == 3
    again = await send("batch-1")
    assert again.status_code == 201 and set(again.json()["ids"]) == set(keyed.json()["job_ids"])
    assert await _depth(queue) == 2 + 3


async def test_the_server_forgets_its_scripts(redis: Pair, queue: RedisQueue) -> None:
    with redis.primary.client() as client:
        client.script_flush()
    job = await _confirmed(queue)
    with redis.replica.client() as replica:
        assert replica.exists(queue.keys.job(job.id))
        with redis.primary.client() as client:
            client.script_flush()
        with silent(redis), pytest.raises(NotConfirmed):
            await queue.enqueue(NewJob("greet"))


async def test_many_callers_are_all_answered_in_time_when_no_replica_is_there(
    redis: Pair, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # On a busy machine they come in several waves, each of which waits so long; all of it within a request's 5 s.
    monkeypatch.setattr(durability, "CONFIRM_MS", 800)
    redis.leave()
    try:
        async with RedisQueue(redis.primary.url, "alone", durability="replicated"):
            assert [record.message for record in caplog.records] == [durability.NO_REPLICA], (
                "no reason to refuse"
            )
        answers = await asyncio.gather(*(http.post("/jobs", json={"kind": "greet"}) for _ in range(100)))
        # One that had to wait for its turn longer than a request may take would be told that Redis is away.
        assert Counter(answer.json()["type"] for answer in answers) == {"not_confirmed": 100}

        async def warns() -> bool:
            stats = (await http.get("/queues/stats")).json()
            return ("replicas", "bad") in {(found["rule"], found["severity"]) for found in stats["attention"]}

        await eventually(warns, 10, "attention says that no replica is there")
        health = (await http.get("/health")).json()
        assert (health["durability"], health["replicas"]) == ("replicated", 0)
        assert any("no replica" in warning for warning in health["warnings"])
        assert (await http.get("/jobs")).status_code == 200
    finally:
        redis.follow()

    async def accepted() -> bool:
        return (await http.post("/jobs", json={"kind": "greet"})).status_code == 201

    await eventually(accepted, 30, "a replica is there again")


async def test_what_a_handler_submits_goes_by_the_flag_of_its_worker(
    redis: Pair, namespace: str, queue: RedisQueue, tmp_path: Path
) -> None:
    bench = Bench(redis.primary.url, namespace, tmp_path)
    try:
        bench.worker("--durability", "replicated", target="tests.durability.tasks:forge")

        async def sure() -> bool:  # a busy machine may need more than one
            before = len(bench.lines("sure") + bench.lines("unsure"))
            await queue.enqueue(NewJob("submits", b'{"mark":1}'))
            await eventually(lambda: len(bench.lines("sure") + bench.lines("unsure")) > before, 15)
            return bool(bench.lines("sure"))

        await eventually(sure, 30, "a replica confirmed")
        before = len(bench.lines("unsure"))
        async with RedisQueue(redis.primary.url, namespace) as local:
            with redis.replica.frozen():
                await local.enqueue(NewJob("submits", b'{"mark":2}'))
                await eventually(lambda: len(bench.lines("unsure")) > before, 15, "no replica confirmed")
    finally:
        bench.close()
