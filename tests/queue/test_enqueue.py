from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ResponseError

from ironforge.job import BackoffPolicy, JobStatus, NewJob, Priority, new_job_id
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter
from tests.queue.state import Lane, dump, structure
from tests.queue.stopped import Stopped


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


async def test_calls_that_come_while_one_is_under_way_share_one_script(queue: RedisQueue) -> None:
    first = await queue.enqueue(NewJob("greet"))
    before = (await queue.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    jobs = await asyncio.gather(*(queue.enqueue(NewJob("greet")) for _ in range(50)))
    after = (await queue.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert len({job.id for job in jobs}) == 50
    assert after - before == 2
    page = await queue.list_jobs(JobFilter(status=JobStatus.QUEUED), limit=60)
    assert [job.id for job in page.jobs] == [first.id, *(job.id for job in jobs)], "in the order of the calls"


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


async def test_what_a_batch_writes_to_the_microsecond(stopped: Stopped) -> None:
    jobs = [
        ("a", "mail", "greet", 2, "now", 0, 0),
        ("b", "mail", "greet", 0, "now", 0, 4, "priority", 0, "payload", "[1]"),
        ("c", "mail", "greet", 2, "in", 60_000, 0),
        ("d", "bulk", "greet", 3, "now", 0, 2, "priority", 3),
    ]
    reply = await stopped.call("enqueue", len(jobs), *(value for job in jobs for value in job))
    now, first = stopped.now_ms, stopped.place()
    assert reply == [now, "queued", 0, "queued", 0, "scheduled", now + 60_000, "queued", 0]
    assert await stopped.scores("q:mail:queued") == {"b": stopped.place(0) + 1, "a": first}
    assert await stopped.scores("q:bulk:queued") == {"d": stopped.place(3)}
    assert await stopped.scores("q:mail:scheduled") == {"c": now + 60_000}
    assert await stopped.hash("job:b") == {
        "kind": "greet", "queue": "mail", "status": "queued", "created_at": str(now), "priority": "0", "payload": "[1]",
    }  # fmt: skip
    assert (await stopped.hash("job:c"))["run_at"] == str(now + 60_000)
    assert await stopped.members("queues") == {"mail", "bulk"}
    assert (await stopped.version("mail"), await stopped.version("bulk")) == (1, 1)


async def test_a_due_time_is_in_the_future_or_it_is_now(stopped: Stopped) -> None:
    now = stopped.now_ms
    assert (await stopped.enqueue("a", when="at", ms=now))[1:] == ["queued", 0]
    assert (await stopped.enqueue("b", when="at", ms=now + 1))[1:] == ["scheduled", now + 1]
    assert (await stopped.enqueue("c", when="in", ms=0))[1:] == ["queued", 0]
    assert (await stopped.enqueue("d", when="in", ms=1))[1:] == ["scheduled", now + 1]


@pytest.mark.parametrize(("ms", "woken"), [(5_000, True), (5_001, False)])
async def test_a_due_time_within_five_seconds_wakes_whoever_sleeps(
    stopped: Stopped, ms: int, woken: bool
) -> None:
    await stopped.enqueue("a", when="in", ms=ms)
    assert await stopped.woken() is woken
    await stopped.enqueue("b", when="in", ms=ms + 1)
    assert not await stopped.woken(), "nobody sleeps longer than until the first"


async def test_sequences_go_on_also_when_the_clock_does_not(stopped: Stopped) -> None:
    first = stopped.place()
    for at, ms in enumerate((0, 0, -60_000)):
        stopped.later(ms)
        await stopped.enqueue(f"j{at}")
    assert await stopped.scores("q:mail:queued") == {f"j{at}": first + at for at in range(3)}
    stopped.later(120_000)
    await stopped.enqueue("last")
    assert (await stopped.scores("q:mail:queued"))["last"] == stopped.place()


async def test_what_exists_costs_and_counts_nothing(queue: RedisQueue, stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=60_000)
    before = await dump(queue)
    stopped.later(10)
    assert await stopped.enqueue("a", "other") == [stopped.now_ms, "exists", 0]
    assert await dump(queue) == before


async def test_submissions_are_counted_by_kind_priority_and_queue(
    queue: RedisQueue, stopped: Stopped
) -> None:
    await stopped.enqueue("a")
    await stopped.enqueue("b", "bulk", rank=0)
    await stopped.enqueue("c", "bulk", rank=0)
    assert (await queue.read_stats()).submitted == {("greet", "medium"): 1, ("greet", "critical"): 2}
    series = await queue.read_series()
    assert [slot.submitted for slot in series.slots if slot.submitted] == [{"mail": 1, "bulk": 2}]
    (slot,) = (slot for slot in series.slots if slot.submitted)
    assert slot.start_ms <= stopped.now_ms < slot.start_ms + 10_000


async def test_a_batch_for_one_queue_counts_each(queue: RedisQueue, stopped: Stopped) -> None:
    await queue.enqueue_many([NewJob("greet", queue="mail") for _ in range(3)])
    assert (await queue.read_stats()).submitted == {("greet", "medium"): 3}
    assert [slot.submitted for slot in (await queue.read_series()).slots if slot.submitted] == [{"mail": 3}]
    assert await stopped.version() == 1


async def test_a_job_due_before_all_others_wakes_whoever_sleeps_until_those(stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=4_000)
    assert await stopped.woken()
    await stopped.enqueue("b", when="in", ms=3_000)
    assert await stopped.woken() and await stopped.version() == 2


async def test_now_is_now_whatever_else_is_said(stopped: Stopped) -> None:
    assert (await stopped.enqueue("a", when="now", ms=stopped.now_ms + 60_000))[1:] == ["queued", 0]
