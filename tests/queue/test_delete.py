from __future__ import annotations

import pytest

from ironforge.errors import JobNotFound, JobRunning
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Once
from tests.queue.state import Lane, dead_job, dump, structure
from tests.queue.stopped import Stopped


@pytest.mark.parametrize("delay_ms", [None, 60_000])
async def test_a_waiting_job_leaves_nothing(queue: RedisQueue, delay_ms: int | None) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=delay_ms))
    await queue.delete(job.id)
    state = await structure(queue)
    state.pop("q:default:wake", None)
    assert state == {"queues": {"default"}}
    with pytest.raises(JobNotFound):
        await queue.get(job.id)


async def test_a_dead_job_leaves_its_group_too(queue: RedisQueue, lane: Lane) -> None:
    job = await dead_job(queue, lane)
    await queue.delete(job.id)
    assert not [name for name in await structure(queue) if name.startswith("dead") or name.endswith(":dead")]


async def test_a_running_job_is_not_deleted(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    before = await dump(queue)
    with pytest.raises(JobRunning):
        await queue.delete(job.id)
    assert await dump(queue) == before


async def test_sent_again_under_its_key_it_answers_the_same(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    once = Once("key", "hash")
    await queue.delete(job.id, once=once)
    await queue.delete(job.id, once=once)
    with pytest.raises(JobNotFound):
        await queue.delete(job.id)


@pytest.mark.parametrize("outcome", ["", "retry", "completed", "dead", "cancelled"])
async def test_nothing_of_it_is_left_and_its_list_changed(stopped: Stopped, outcome: str) -> None:
    if outcome:
        fence = await stopped.run("a")
        assert await stopped.settle("a", outcome, fence=fence, delay_ms=1_000) == "ok"
    else:
        await stopped.enqueue("a")
    version = await stopped.version()
    assert await stopped.call("delete", "a", "", "") == "deleted"
    assert await stopped.hash("job:a") == {}
    _, _, *counts, since = (await stopped.call("read_queues", "mail"))[1]
    assert (set(counts), since) == ({0}, "")
    assert await stopped.scores("dead:group:f") == {} and await stopped.scores("dead:groups") == {}
    assert await stopped.version() == version + 1


async def test_of_two_in_a_group_the_other_stays(stopped: Stopped) -> None:
    for job_id in ("a", "b", "c"):
        assert await stopped.settle(job_id, "dead", fence=await stopped.run(job_id)) == "ok"
    await stopped.call("delete", "a", "", "")
    assert await stopped.scores("dead:groups") == {"f": 2}
    assert list(await stopped.scores("dead:group:f")) == ["b", "c"]
    await stopped.call("delete", "b", "", "")
    assert await stopped.scores("dead:groups") == {"f": 1}


async def test_a_suspect_leaves_the_suspects(stopped: Stopped) -> None:
    await stopped.enqueue("a", when="in", ms=10)
    await stopped.put("job:a", "HSET", "crashes", 2)
    await stopped.call("run", "a", "", "")
    assert list(await stopped.scores("q:mail:suspects")) == ["a"]
    assert await stopped.call("delete", "a", "", "") == "deleted"
    assert await stopped.scores("q:mail:suspects") == {}


async def test_words(stopped: Stopped) -> None:
    await stopped.run("a")
    assert await stopped.call("delete", "nobody", "", "") == "missing"
    assert await stopped.call("delete", "a", "key", "hash") == "running"
    await stopped.enqueue("b")
    assert await stopped.call("delete", "b", "key", "hash") == "deleted"
    assert await stopped.call("delete", "b", "key", "hash") == "deleted"
    assert await stopped.call("delete", "b", "key", "other") == "key_conflict"


async def test_a_dead_job_that_its_group_lost_takes_none_of_the_others_with_it(stopped: Stopped) -> None:
    for job_id in ("a", "b", "c"):
        assert await stopped.settle(job_id, "dead", fence=await stopped.run(job_id)) == "ok"
    await stopped.put("dead:group:f", "ZREM", "a", "b")
    await stopped.put("dead:groups", "ZADD", 1, "f")
    await stopped.put("job:b", "HDEL", "fingerprint")
    for job_id in ("a", "b"):
        assert await stopped.call("delete", job_id, "", "") == "deleted"
    assert await stopped.scores("dead:groups") == {"f": 1}
