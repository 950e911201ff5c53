from __future__ import annotations

import pytest

from ironforge.errors import InvalidTransition, JobNotFound
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dump, structure
from tests.queue.stopped import Stopped


@pytest.mark.parametrize("delay_ms", [None, 60_000])
async def test_a_waiting_job_is_cancelled_at_once(queue: RedisQueue, delay_ms: int | None) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=delay_ms))
    cancelled, how = await queue.cancel(job.id)
    assert (cancelled.status, how) == (JobStatus.CANCELLED, "cancelled")
    state = await structure(queue)
    assert state["q:default:cancelled"] == [job.id]
    assert "q:default:queued" not in state and "q:default:scheduled" not in state


async def test_the_worker_of_a_running_job_is_asked(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    asked, how = await queue.cancel(job.id)
    assert (asked.status, asked.cancel_requested, how) == (JobStatus.RUNNING, True, "requested")
    for _ in range(2):  # an order stays until it was obeyed: a lost reply loses nothing
        assert (await queue.beat("w1", {})).orders == [f"cancel:{job.id}"]
    assert await lane.settle(job, "cancelled") == "ok"
    assert (await queue.beat("w1", {})).orders == []
    assert (await queue.get(job.id)).status is JobStatus.CANCELLED


async def test_a_job_that_finished_first_stays_completed(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    await queue.cancel(job.id)
    assert await lane.settle(job, "completed") == "ok"
    with pytest.raises(InvalidTransition, match="completed"):
        await queue.cancel(job.id)
    assert (await queue.beat("w1", {})).orders == []


async def test_a_cancelled_suspect_leaves_the_suspects(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    for wid in ("c1", "c2"):
        await (await Lane(queue, wid).register()).claim()
        await queue.hand_back(wid, "crashed", {})
    assert "q:default:suspects" in await structure(queue)
    await queue.cancel(job.id)
    assert "q:default:suspects" not in await structure(queue)


async def test_an_unknown_id(queue: RedisQueue) -> None:
    with pytest.raises(JobNotFound):
        await queue.cancel("019ab1c2-0000-7000-8000-000000000000")


async def test_what_it_writes_to_the_millisecond(stopped: Stopped) -> None:
    await stopped.enqueue("a", retention_ms=5_000)
    await stopped.enqueue("b")
    stopped.later(10)
    version = await stopped.version()
    for job_id in ("a", "b"):
        assert await stopped.call("cancel", job_id, "", "") == "done"
    now = stopped.now_ms
    assert await stopped.scores("q:mail:cancelled") == {"a": now + 5_000, "b": now + 86_400_000}
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["finished_at"]) == ("cancelled", str(now))
    assert await stopped.version() == version + 2


async def test_asking_a_running_job_shows_in_its_list(stopped: Stopped) -> None:
    await stopped.run("a")
    version = await stopped.version()
    assert await stopped.call("cancel", "a", "", "") == "requested"
    assert (await stopped.hash("job:a"))["cancel_requested"] == "1"
    assert await stopped.members("worker:w-a:orders") == {"cancel:a"}
    assert await stopped.version() == version + 1


@pytest.mark.parametrize("outcome", ["completed", "dead", "cancelled"])
async def test_what_is_over_stays_as_it_is(queue: RedisQueue, stopped: Stopped, outcome: str) -> None:
    fence = await stopped.run("a")
    assert await stopped.settle("a", outcome, fence=fence) == "ok"
    before = await dump(queue)
    stopped.later(10)
    assert await stopped.call("cancel", "a", "", "") == outcome
    assert await dump(queue) == before


@pytest.mark.parametrize("running", [False, True])
async def test_under_a_key_it_acts_once(stopped: Stopped, running: bool) -> None:
    await (stopped.run("a") if running else stopped.enqueue("a"))
    word = "requested" if running else "done"
    assert await stopped.call("cancel", "a", "key", "hash") == word
    assert await stopped.call("cancel", "a", "key", "hash") == word
    assert await stopped.call("cancel", "a", "key", "other") == "key_conflict"
    assert await stopped.call("cancel", "a", "", "") == ("requested" if running else "cancelled")


async def test_its_answer_is_kept_for_a_day_to_the_millisecond(stopped: Stopped) -> None:
    await stopped.run("a")
    assert await stopped.lasts_ms("idem:key", "cancel", "a", "key", "hash") == 86_400_000


async def test_without_a_key_no_record_counts(stopped: Stopped) -> None:
    """Not even one under the empty name, which no script writes."""
    await stopped.enqueue("a")
    await stopped.put("idem:", "SET", "done|hash|missing")
    assert await stopped.call("cancel", "a", "", "hash") == "done"
