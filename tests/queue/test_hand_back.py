from __future__ import annotations

from hashlib import sha1

import pytest

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, structure
from tests.queue.stopped import Stopped


async def test_a_crash_hands_the_jobs_back_to_their_places(queue: RedisQueue, lane: Lane) -> None:
    jobs = await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    await lane.claim(2)
    assert await queue.hand_back("w1", "crashed", {"signal": "SIGKILL", "rss_bytes": 1234}) == 2
    state = await structure(queue)
    assert state["q:default:queued"] == [job.id for job in jobs]
    assert not [name for name in state if name.startswith("worker")]
    stored = await queue.get(jobs[0].id)
    assert (stored.crashes, stored.lapses, stored.retry_count) == (1, 0, 0)
    assert stored.attempts[0].outcome == "crashed"
    assert stored.last_error is not None and "SIGKILL" in stored.last_error.message
    assert await queue.wait_for_wake(["default"], 0.5) == "default"


async def test_a_second_hand_back_does_nothing(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await lane.claim()
    assert await queue.hand_back("w1", "crashed", {}) == 1
    assert await queue.hand_back("w1", "crashed", {}) == -1
    assert (await queue.get(job.id)).crashes == 1


async def test_a_worker_ended_by_its_supervisor_charges_nobody(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await lane.claim()
    await queue.hand_back("w1", "ended", {"why": "shutdown"})
    stored = await queue.get(job.id)
    assert (stored.status, stored.crashes, stored.lapses, stored.retry_count) == (JobStatus.QUEUED, 0, 0, 0)


async def test_a_poison_pill_dies_at_its_third_crash_and_not_before(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    for crashes, status in ((1, JobStatus.QUEUED), (2, JobStatus.QUEUED), (3, JobStatus.DEAD)):
        lane = await Lane(queue, f"w{crashes}").register()
        assert [claimed.id for claimed in await lane.claim(5)] == [job.id]
        await queue.hand_back(lane.wid, "crashed", {"signal": "SIGSEGV"})
        stored = await queue.get(job.id)
        assert (stored.crashes, stored.status) == (crashes, status)
        assert stored.suspect is (crashes == 2)
    assert stored.reason == "worker_lost"
    groups, _, _ = await queue.dead_groups()
    assert [group.count for group in groups] == [1]


@pytest.mark.parametrize("cause", ["crashed", "ended"])
async def test_a_job_that_was_asked_to_cancel_is_cancelled(queue: RedisQueue, lane: Lane, cause: str) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await lane.claim()
    await queue.cancel(job.id)
    await queue.hand_back("w1", cause, {})  # type: ignore[arg-type]
    assert (await queue.get(job.id)).status is JobStatus.CANCELLED


async def test_what_it_writes_to_the_millisecond(queue: RedisQueue, stopped: Stopped) -> None:
    began = stopped.now_ms
    place = stopped.place(1)
    await stopped.run("a", rank=1)
    stopped.later(60)
    await stopped.woken()
    version = await stopped.version()
    assert await stopped.call("hand_back", "w-a", "crashed", ERROR) == 1
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["crashes"], stored["attempt_count"]) == ("queued", "1", "1")
    assert (
        stored["attempt:1"] == f"{began} {stopped.now_ms} w-a crashed {ERROR}"
        and stored["last_error"] == ERROR
    )
    assert "worker" not in stored and "settled" not in stored
    assert await stopped.scores("q:mail:queued") == {"a": place}
    assert await stopped.scores("workers") == {} and await stopped.hash("worker:w-a") == {}
    assert await stopped.woken() and await stopped.version() == version + 1
    stats = await queue.read_stats()
    assert (stats.durations["greet", "crashed"].sum_ms, stats.others["workers_crashed"]) == (60, 1)


async def test_only_what_runs_there_is_handed_back(stopped: Stopped) -> None:
    """A claim whose job moved on, which no script leaves behind: the job is not touched."""
    await stopped.run("a")
    await stopped.run("b")
    await stopped.enqueue("c")
    await stopped.enqueue("d")
    await stopped.put("job:d", "HSET", "worker", "w-a")
    await stopped.put("worker:w-a:claims", "SADD", "b", "c", "d", "ghost")
    before = [await stopped.hash(f"job:{job_id}") for job_id in "bcd"]
    assert await stopped.call("hand_back", "w-a", "ended", "") == 1
    assert [await stopped.hash(f"job:{job_id}") for job_id in "bcd"] == before
    await stopped.put("job:d", "HDEL", "worker")
    assert await stopped.hash("worker:w-a") == {} and await stopped.members("worker:w-a:claims") == set()
    assert await stopped.call("hand_back", "w-a", "ended", "") == -1


async def test_orders_of_the_gone_are_gone(stopped: Stopped) -> None:
    await stopped.run("a")
    await stopped.put("worker:w-a:orders", "SADD", "quiet")
    await stopped.call("hand_back", "w-a", "ended", "")
    assert await stopped.members("worker:w-a:orders") == set()


@pytest.mark.parametrize(
    ("cause", "field", "before", "status"),
    [
        ("crashed", "crashes", 1, "queued"),
        ("crashed", "crashes", 2, "dead"),
        ("ended", "crashes", 2, "queued"),
        ("ended", "lapses", 20, "queued"),
        ("crashed", "lapses", 20, "queued"),
    ],
)
async def test_the_limits_of_losses(
    stopped: Stopped, cause: str, field: str, before: int, status: str
) -> None:
    await stopped.run("a")
    await stopped.put("job:a", "HSET", field, before)
    await stopped.call("hand_back", "w-a", cause, "")
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored[field]) == (
        status,
        str(before + (cause == "crashed" and field == "crashes")),
    )
    assert stored.get("reason") == ("worker_lost" if status == "dead" else None)
    suspects = await stopped.scores("q:mail:suspects")
    assert list(suspects) == (["a"] if status == "queued" and int(stored.get("crashes", 0)) >= 2 else [])


async def test_the_lost_are_grouped_by_kind(stopped: Stopped) -> None:
    await stopped.run("a")
    await stopped.put("job:a", "HSET", "crashes", 2)
    await stopped.call("hand_back", "w-a", "crashed", "")
    fingerprint = sha1(b"worker_lost|greet").hexdigest()[:12]
    assert await stopped.scores(f"dead:group:{fingerprint}") == {"a": stopped.now_ms}
    assert await stopped.scores("dead:groups") == {fingerprint: 1}
