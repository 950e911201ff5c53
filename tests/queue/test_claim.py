from __future__ import annotations

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dump, move_clock, structure


async def test_a_claim_moves_the_job_to_running_under_a_fence(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    (claimed,) = await lane.claim(1, token="tok")
    assert (claimed.id, claimed.status, claimed.fence, claimed.worker) == (
        job.id,
        JobStatus.RUNNING,
        "1:tok",
        "w1",
    )
    stored = await queue.get(job.id)
    assert (stored.status, stored.worker, stored.fence) == (JobStatus.RUNNING, "w1", "1:tok")
    state = await structure(queue)
    assert state["q:default:running"] == [job.id]
    assert state["worker:w1:claims"] == {job.id}
    assert "q:default:queued" not in state


async def test_never_more_than_the_free_slots(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(5)])
    assert len(await lane.claim(3)) == 3
    assert len((await structure(queue))["q:default:queued"]) == 2


async def test_the_reply_that_was_lost_is_given_again(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(6)])
    first = await lane.claim(3, token="tok")
    before = await dump(queue)
    again = await lane.claim(3, token="tok")
    assert {job.id: job.fence for job in again} == {job.id: job.fence for job in first}
    assert await dump(queue) == before


async def test_two_claims_never_share_a_fence(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (first,) = await lane.claim()
    assert await lane.settle(first, "released") == "ok"
    (second,) = await lane.claim()
    assert first.fence.startswith("1:") and second.fence.startswith("2:")


async def test_a_worker_without_a_lease_gets_nothing(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet"))
    reply = await Lane(queue, "stranger").turn(1)
    assert (reply.word, reply.jobs) == ("gone", [])
    assert len((await structure(queue))["q:default:queued"]) == 1


async def test_queues_are_served_in_the_order_given(queue: RedisQueue) -> None:
    for name in ("bulk", "mail", "bulk", "mail"):
        await queue.enqueue(NewJob("greet", queue=name))
    lane = await Lane(queue, queues=("mail", "bulk")).register()
    assert [job.queue for job in await lane.claim(3)] == ["mail", "mail", "bulk"]


async def test_a_paused_queue_hands_out_nothing_and_resume_loses_nothing(
    queue: RedisQueue, lane: Lane
) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await queue.pause("default")
    assert await lane.claim() == []
    await queue.resume("default")
    assert [claimed.id for claimed in await lane.claim()] == [job.id]


async def test_what_is_due_is_promoted_and_the_rest_announced(queue: RedisQueue, lane: Lane) -> None:
    soon = await queue.enqueue(NewJob("greet", delay_ms=10_000))
    await queue.enqueue(NewJob("greet", delay_ms=60_000))
    reply = await lane.turn(5)
    assert reply.jobs == [] and reply.next_due_ms is not None and 9_000 < reply.next_due_ms <= 10_000
    await move_clock(queue, 10_000)
    reply = await lane.turn(5)
    assert [job.id for job in reply.jobs] == [soon.id]
    assert reply.next_due_ms is not None and 49_000 < reply.next_due_ms <= 50_000


async def test_a_claim_that_had_enough_wakes_another_worker(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    assert await queue.wait_for_wake(["default"], 0.5) == "default"
    await lane.claim(2)
    assert await queue.wait_for_wake(["default"], 0.5) == "default"
    await lane.claim(2)
    assert await queue.wait_for_wake(["default"], 0.05) is None


async def test_a_ghost_in_the_index_is_dropped_and_does_not_cost_a_slot(
    queue: RedisQueue, lane: Lane
) -> None:
    await queue.client.zadd(queue.keys.index("default", "queued"), {"ghost": 1})
    job = await queue.enqueue(NewJob("greet"))
    assert [claimed.id for claimed in await lane.claim(1)] == [job.id]


async def _crash_twice(queue: RedisQueue) -> str:
    job = await queue.enqueue(NewJob("greet"))
    for wid in ("c1", "c2"):
        lane = await Lane(queue, wid).register()
        assert [claimed.id for claimed in await lane.claim()] == [job.id]
        await queue.hand_back(wid, "crashed", {"signal": "SIGKILL"})
    return job.id


async def test_a_suspect_is_taken_by_an_empty_worker_and_runs_alone(queue: RedisQueue) -> None:
    busy = await Lane(queue, "busy").register()
    innocent = await queue.enqueue(NewJob("greet"))
    (running,) = await busy.claim(1)
    assert running.id == innocent.id
    suspect = await _crash_twice(queue)
    later = await queue.enqueue(NewJob("greet"))
    assert await busy.claim(5) == [], "it drains first"
    assert await busy.settle(running, "completed") == "ok"
    (alone,) = await busy.claim(5)
    assert alone.id == suspect, "alone, though another job is ready"
    assert await busy.claim(5) == []
    other = await Lane(queue, "other").register()
    assert [job.id for job in await other.claim(5)] == [later.id], "neighbours go on"
    assert await busy.settle(alone, "completed") == "ok"
    last = await queue.enqueue(NewJob("greet"))
    assert [job.id for job in await busy.claim(5)] == [last.id], "it was alone for that job only"


async def test_one_worker_at_a_time_drains_for_a_suspect(queue: RedisQueue) -> None:
    lanes = [await Lane(queue, f"w{at}").register() for at in range(2)]
    await queue.enqueue_many([NewJob("greet") for _ in range(2)])
    for lane in lanes:
        assert len(await lane.claim(1)) == 1
    await _crash_twice(queue)
    more = await queue.enqueue(NewJob("greet"))
    assert await lanes[0].claim(5) == []
    assert [job.id for job in await lanes[1].claim(5)] == [more.id]
