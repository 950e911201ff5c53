"""register.lua, renew.lua, beat.lua and deregister.lua: the life of a worker's registration."""

from __future__ import annotations

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import WorkerInfo
from tests.queue.state import Lane, move_clock, structure
from tests.queue.stopped import Stopped


async def test_what_a_worker_says_can_be_read(queue: RedisQueue, lane: Lane) -> None:
    running = '[{"id":"j","kind":"greet","queue":"default","started_ms":5,"slot":2}]'
    await queue.beat("w1", {"cpu_pct": "12.5", "rss_bytes": "1000", "running": running, "state": "quiet"})
    (worker,) = await queue.workers()
    assert (worker.id, worker.host, worker.pid, worker.supervisor_pid) == ("w1", "host", 11, 10)
    assert (worker.state, worker.cpu_pct, worker.rss_bytes, worker.kinds) == ("quiet", 12.5, 1000, ["greet"])
    assert worker.running[0].id == "j" and worker.beat_age_s is not None and worker.beat_age_s < 5
    assert 10 < worker.lease_s <= 15
    (task,) = await queue.tasks()
    assert (task.kind, task.workers, task.queues, task.timeout_s) == ("greet", 1, ["default"], 30)


async def test_an_id_is_never_used_twice(queue: RedisQueue, lane: Lane) -> None:
    assert not await queue.register("w1", WorkerInfo("other", 1, 1, "0", ["default"], 1), 60_000)
    (worker,) = await queue.workers()
    assert worker.host == "host"
    assert worker.lease_s < 16, "nor is its lease touched"


async def test_a_lease_that_ran_out_shows_as_lost_until_it_is_renewed(queue: RedisQueue, lane: Lane) -> None:
    await queue.client.zadd(queue.keys.workers, {"w1": 1})
    assert (await queue.workers())[0].state == "lost"
    assert await queue.tasks() == []
    assert await queue.renew("w1", "stranger") == ["ok", "gone"]
    assert (await queue.workers())[0].state == "running"
    await move_clock(queue, 0)


async def test_a_worker_leaves_only_with_empty_hands(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await queue.deregister("w1") == "busy"
    await lane.settle(job, "completed")
    assert await queue.deregister("w1") == "ok"
    assert await queue.deregister("w1") == "gone"
    assert not [name for name in await structure(queue) if name.startswith("worker")]


async def test_what_a_registration_writes_to_the_millisecond(stopped: Stopped) -> None:
    assert await stopped.call("register", "w", 15_000, "host", "h", "pid", "7") == "ok"
    assert await stopped.scores("workers") == {"w": stopped.now_ms + 15_000}
    assert await stopped.hash("worker:w") == {"registered_at": str(stopped.now_ms), "host": "h", "pid": "7"}
    stopped.later(5)
    before = await stopped.hash("worker:w")
    assert await stopped.call("register", "w", 99_000, "host", "other") == "exists"
    assert await stopped.scores("workers") == {"w": stopped.now_ms - 5 + 15_000}
    assert await stopped.hash("worker:w") == before


async def test_what_a_renewal_and_a_beat_write_to_the_millisecond(stopped: Stopped) -> None:
    for wid in ("w", "v", "u"):
        await stopped.register(wid)
    stopped.later(4_000)
    assert await stopped.call("renew", 20_000, "w", "nobody", "u") == ["ok", "gone", "ok"]
    now = stopped.now_ms
    assert await stopped.scores("workers") == {"v": now + 11_000, "w": now + 20_000, "u": now + 20_000}
    assert await stopped.call("beat", "w", "state", "quiet") == ["ok", []]
    stored = await stopped.hash("worker:w")
    assert (stored["beat_at"], stored["state"], stored["host"]) == (str(now), "quiet", "h")
    assert await stopped.call("beat", "nobody", "state", "quiet") == ["gone"]
    assert await stopped.hash("worker:nobody") == {}


async def test_what_leaves_and_what_stays_when_a_worker_does(stopped: Stopped) -> None:
    for wid in ("w", "v"):
        await stopped.register(wid)
        await stopped.put(f"worker:{wid}:orders", "SADD", "quiet")
    assert await stopped.call("deregister", "w") == "ok"
    assert await stopped.scores("workers") == {"v": stopped.now_ms + 15_000}
    assert await stopped.hash("worker:w") == {} and await stopped.members("worker:w:orders") == set()
    assert await stopped.members("worker:v:orders") == {"quiet"}
    await stopped.enqueue("a")
    await stopped.claim(wid="v")
    assert await stopped.call("deregister", "v") == "busy"
    assert await stopped.members("worker:v:claims") == {"a"} and await stopped.hash("worker:v") != {}
    await stopped.put("workers", "ZREM", "v")
    assert await stopped.call("deregister", "v") == "gone"
    assert await stopped.members("worker:v:claims") == {"a"}, "nothing changed"
