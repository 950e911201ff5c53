from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ResponseError

from ironforge.job import BackoffPolicy, JobStatus, NewJob, Priority, new_job_id
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dump, structure


async def test_a_job_at_its_defaults_stores_only_what_differs(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    state = await dump(queue)
    assert state[f"job:{job.id}"] == {
        "kind": "greet", "queue": "default", "status": "queued", "created_at": str(job.created_ms),
    }  # fmt: skip
    assert await structure(queue) == {
        "q:default:queued": [job.id], "q:default:wake": ["ready"], "queues": {"default"},
    }  # fmt: skip
    assert state["stats"] == {"submitted|greet|2": "1"}


async def test_every_field_comes_back_as_it_was_given(queue: RedisQueue) -> None:
    asked = NewJob(
        "mail.send", b'{"n": 123456789012345678901234567890, "z": "\\u0000"}', queue="mail", priority=Priority.LOW,
        max_retries=7, timeout_ms=1500, retention_ms=9000, backoff=BackoffPolicy(1, 5, 0), tags=("a", "b"),
    )  # fmt: skip
    told = await queue.enqueue(asked)
    stored = await queue.get(told.id)
    assert stored == told
    assert stored.payload_json == asked.payload_json
    assert (stored.priority, stored.max_retries, stored.timeout_s, stored.retention_s) == (
        Priority.LOW,
        7,
        1.5,
        9,
    )
    assert (stored.tags, stored.backoff) == (["a", "b"], BackoffPolicy(1, 5, 0))


async def test_priorities_are_strict_and_within_one_the_first_comes_first(
    queue: RedisQueue, lane: Lane
) -> None:
    wanted = [
        Priority.LOW,
        Priority.MEDIUM,
        Priority.CRITICAL,
        Priority.HIGH,
        Priority.CRITICAL,
        Priority.LOW,
    ]
    jobs = await queue.enqueue_many([NewJob("greet", priority=priority) for priority in wanted])
    expected = sorted(jobs, key=lambda job: (job.priority.rank, jobs.index(job)))
    assert [job.id for job in await lane.claim(10)] == [job.id for job in expected]


async def test_a_large_batch_keeps_its_order(queue: RedisQueue, lane: Lane) -> None:
    jobs = await queue.enqueue_many([NewJob("greet") for _ in range(1200)])
    claimed = [job.id for _ in range(4) for job in await lane.claim(300)]
    assert claimed == [job.id for job in jobs]


async def test_a_delayed_job_waits_in_scheduled(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=60_000))
    assert job.status is JobStatus.SCHEDULED
    assert job.run_at_ms == job.created_ms + 60_000
    assert await structure(queue) == {"q:default:scheduled": [job.id], "queues": {"default"}}


async def test_a_job_due_soon_wakes_a_worker_that_sleeps_longer(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet", delay_ms=4_000))
    assert await queue.wait_for_wake(["default"], 0.1) == "default"
    await queue.enqueue(NewJob("greet", delay_ms=4_500))
    assert await queue.wait_for_wake(["default"], 0.05) is None


async def test_a_time_that_passed_means_now(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet", run_at_ms=1_000))
    assert job.status is JobStatus.QUEUED


async def test_an_id_that_exists_is_left_alone(queue: RedisQueue) -> None:
    first = await queue.enqueue(NewJob("greet", b'{"n":1}'))
    before = await dump(queue)
    again = await queue.enqueue(NewJob("other", b'{"n":2}', id=first.id))
    assert again == first
    assert await dump(queue) == before


async def test_calls_of_one_tick_share_one_script(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet"))
    before = (await queue.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    jobs = await asyncio.gather(*(queue.enqueue(NewJob("greet")) for _ in range(50)))
    after = (await queue.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert len({job.id for job in jobs}) == 50
    assert after - before == 1


async def test_an_error_reaches_every_caller_of_the_tick(queue: RedisQueue) -> None:
    await queue.client.set(queue.keys.index("bad", "queued"), "not a zset")
    calls = (queue.enqueue(NewJob("greet", queue="bad")), queue.enqueue(NewJob("greet", queue="bad")))
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in errors] == [ResponseError, ResponseError]
    for key in await queue.client.keys(queue.keys.prefix + "*"):
        await queue.client.delete(key)


async def test_forgotten_scripts_are_sent_again(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await queue.client.script_flush()
    (claimed,) = await lane.claim(1)
    await queue.client.script_flush()
    assert await lane.settle(claimed, "completed") == "ok"
    assert (await queue.get(job.id)).status is JobStatus.COMPLETED


@pytest.mark.parametrize("shard", [0, 5, 4095])
def test_an_id_carries_its_shard(shard: int) -> None:
    from ironforge.job import ID_PATTERN, shard_of

    job_id = new_job_id(shard)
    assert ID_PATTERN.fullmatch(job_id)
    assert shard_of(job_id) == shard
