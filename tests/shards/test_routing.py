"""Every verb reaches the shard that its queue, job or name lives in; readings speak for all of them."""

from __future__ import annotations

from collections import Counter

import pytest

from ironforge.errors import ConfigError, JobNotFound, StartupError
from ironforge.job import JobStatus, NewJob, Priority, shard_of
from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import CLUSTER_SLOTS, shard_tag
from ironforge.queue.readings import JobFilter, Once
from tests.queue.state import ERROR, Lane, move_clock
from tests.shards.conftest import SHARDS


async def a_dead_one(queue: RedisQueue, lane: Lane, name: str, fingerprint: str) -> str:
    await queue.enqueue(NewJob("greet", queue=name, max_retries=0))
    (job,) = await lane.claim(1)
    assert await lane.settle(job, "dead", error_json=ERROR, fingerprint=fingerprint) == "ok"
    return job.id


async def test_jobs_lie_in_the_shard_of_their_queue_and_carry_it(
    queue: RedisQueue, one_each: list[str]
) -> None:
    jobs = await queue.enqueue_many([NewJob("greet", queue=name) for name in one_each * 2])
    assert [job.queue for job in jobs] == one_each * 2, "the order of the call"
    for job in jobs:
        shard = queue.shards[shard_of(job.id)]
        assert one_each.index(job.queue) == shard_of(job.id)
        assert await queue.client.exists(shard.keys.job(job.id)) == 1  # type: ignore[attr-defined]
        assert (await queue.get(job.id)).id == job.id


async def test_an_id_of_a_shard_that_does_not_exist_is_not_found(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    stranger = f"{job.id[:15]}fff{job.id[18:]}"
    with pytest.raises(JobNotFound):
        await queue.get(stranger)
    with pytest.raises(JobNotFound):
        await queue.delete(stranger)
    assert await queue.get_many([stranger, "no id", job.id]) == [None, None, job]


async def test_pages_go_through_all_shards_in_one_order(queue: RedisQueue, one_each: list[str]) -> None:
    wanted = [NewJob("greet", queue=one_each[at % SHARDS], delay_ms=60_000 + 1_000 * at) for at in range(23)]
    made = await queue.enqueue_many(wanted)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await queue.list_jobs(JobFilter(status=JobStatus.SCHEDULED), cursor, limit=5)
        assert page.total == 23
        seen += [job.id for job in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [job.id for job in made], "due first, across shards"
    one = await queue.list_jobs(JobFilter(queue=one_each[2]))
    assert one.total == len(one.jobs) == 6


async def test_every_verb_of_an_operator(queue: RedisQueue, one_each: list[str]) -> None:
    for name in one_each:
        late = await queue.enqueue(NewJob("greet", queue=name, delay_ms=60_000))
        assert (await queue.run_now(late.id, once=Once(f"k{name}", "h"))).status is JobStatus.QUEUED
        assert (await queue.run_now(late.id, once=Once(f"k{name}", "h"))).status is JobStatus.QUEUED
        cancelled, how = await queue.cancel(late.id)
        assert (cancelled.status, how) == (JobStatus.CANCELLED, "cancelled")
        assert (await queue.retry(late.id)).status is JobStatus.QUEUED
        await queue.pause(name)
        assert (await queue.read_queue(name)).paused_ms is not None
        await queue.resume(name)
        await queue.delete(late.id)
        with pytest.raises(JobNotFound):
            await queue.get(late.id)


async def test_submit_once_wherever_the_key_and_the_queue_live(
    queue: RedisQueue, one_each: list[str]
) -> None:
    for number, name in enumerate(one_each * 4):
        first, made = await queue.submit(NewJob("greet", queue=name), f"key-{number}", "hash")
        again, made_again = await queue.submit(NewJob("greet", queue=name), f"key-{number}", "hash")
        assert (first.id, made, made_again) == (again.id, True, False)
        assert shard_of(first.id) == one_each.index(name)


async def test_readings_add_up(queue: RedisQueue, one_each: list[str]) -> None:
    lane = await Lane(queue, queues=tuple(one_each)).register()
    ids = [await a_dead_one(queue, lane, name, f"f{at % 2}") for at, name in enumerate(one_each)]
    await a_dead_one(queue, lane, one_each[1], "f1")
    groups, cursor, total = await queue.dead_groups()
    assert total == 2
    first, cursor_1, _ = await queue.dead_groups(limit=1)
    second, cursor_2, _ = await queue.dead_groups(cursor_1, limit=1)
    assert [group.fingerprint for group in first + second] == ["f1", "f0"] and cursor_2 is None
    assert [(group.fingerprint, group.count) for group in groups] == [("f1", 3), ("f0", 2)]
    assert cursor is None and groups[1].sample is not None and groups[1].sample.id in ids
    await queue.enqueue_many([NewJob("greet", queue=name, priority=Priority.HIGH) for name in one_each])
    await lane.claim(3)
    stats, series = await queue.read_stats(), await queue.read_series()
    assert stats.dlq == {"greet": 5} and stats.submitted["greet", "high"] == 4
    assert sum(sum(slot.dead.values()) for slot in series.slots) == 5
    (worker,) = await queue.workers()
    assert worker.claims == 3
    assert [task.workers for task in await queue.tasks()] == [1]
    readings = {reading.name: reading for reading in await queue.read_queues()}
    assert sum(reading.running for reading in readings.values()) == 3
    assert sorted(readings) == sorted(["default", *one_each])


async def test_a_lock_has_one_holder(queue: RedisQueue) -> None:
    for number in range(8):
        assert await queue.lock_acquire(f"lock-{number}", "a", 60_000)
        assert not await queue.lock_acquire(f"lock-{number}", "b", 60_000)
        assert await queue.lock_release(f"lock-{number}", "a")


async def test_maintenance_reaches_every_shard(queue: RedisQueue, one_each: list[str]) -> None:
    await queue.enqueue_many([NewJob("greet", queue=name, delay_ms=1_000) for name in one_each])
    await queue.enqueue_many([NewJob("greet", queue=name, retention_ms=1_000) for name in one_each])
    lane = await Lane(queue, queues=tuple(one_each)).register()
    jobs = await lane.claim(4)
    assert [await lane.settle(job, "completed") for job in jobs] == ["ok"] * 4
    await move_clock(queue, 2_000)
    assert await queue.promote_due() == 4
    assert await queue.trim() == 4
    assert await queue.reap() == []
    assert len(await lane.claim(4)) == 4
    await move_clock(queue, 60_000)
    assert await queue.reap() == []  # after an outage every worker first gets a whole lease
    for _ in range(4):
        await move_clock(queue, 4_000)
        reaped = await queue.reap()
    assert reaped == ["w1"]
    assert Counter(
        job.lapses for job in (await queue.list_jobs(JobFilter(status=JobStatus.QUEUED))).jobs
    ) == {1: 4}


async def test_their_number_is_fixed_at_the_first_start(queue: RedisQueue) -> None:
    found = RedisQueue(queue.url, queue.namespace)
    assert len(await found.all_shards()) == SHARDS
    await found.close()
    other = RedisQueue(queue.url, queue.namespace, shards=2)
    with pytest.raises(StartupError, match=r"split into 4 shards.*2 were asked for"):
        await other.open()
    await other.close()
    with pytest.raises(ConfigError):
        RedisQueue(queue.url, queue.namespace, shards=0)


@pytest.mark.parametrize("shards", [1, 2, 3, 12, 256])
def test_shards_spread_evenly_over_the_slots(shards: int) -> None:
    from binascii import crc_hqx

    slots = [crc_hqx(shard_tag(shard, shards).encode(), 0) % CLUSTER_SLOTS for shard in range(shards)]
    shares = Counter(slot * shards // CLUSTER_SLOTS for slot in slots)
    assert shares == dict.fromkeys(range(shards), 1)
