"""The whole state of a namespace as plain data, its books, and a clock that tests can move."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ironforge.job import Job, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import INDEXES
from ironforge.queue.readings import Settlement, Turn, TurnReply, WorkerInfo

State = dict[str, Any]
_VOLATILE = re.compile(r"^(stats:\d+|tick:.*|test:.*|q:.*:settings|meta|kinds|stats)$")


async def move_clock(queue: RedisQueue, ms: int) -> None:
    """The scripts of this queue see `ms` more (or less) than the server's clock from now on."""
    for shard in await queue.all_shards():
        key = shard.keys.prefix + "test:clock_shift_us"
        await shard.client.execute_command("INCRBY", key, ms * 1000)


async def dump(queue: RedisQueue) -> State:
    """Every key of the shard without its prefix: hashes and sets as they are, sorted sets in order, no scores."""
    state: State = {}
    async for raw in queue.client.scan_iter(queue.keys.prefix + "*", count=5_000):
        key = raw.decode()
        name = key.removeprefix(queue.keys.prefix)
        match (await queue.client.type(key)).decode():
            case "hash":
                found = await queue.client.hgetall(key)
                state[name] = {field.decode(): value.decode() for field, value in found.items()}
            case "set":
                state[name] = {member.decode() for member in await queue.client.smembers(key)}
            case "zset":
                state[name] = [member.decode() for member in await queue.client.zrange(key, 0, -1)]
            case "string":
                state[name] = (await queue.client.get(key)).decode()
            case other:
                state[name] = other
    return state


async def structure(queue: RedisQueue) -> State:
    """The state without counters, settings and job hashes: which id is where."""
    return {
        name: value
        for name, value in (await dump(queue)).items()
        if not _VOLATILE.match(name) and not name.startswith("job:")
    }


async def check_books(queue: RedisQueue) -> None:
    """Every job in exactly the index its status names; claims, running and groups agree."""
    state = await dump(queue)
    hashes = {name[4:]: fields for name, fields in state.items() if name.startswith("job:")}
    places: Counter[str] = Counter()
    for name, members in state.items():
        if not (match := re.fullmatch(r"q:(.+):([a-z]+)", name)) or match[2] not in INDEXES:
            continue
        for job_id in members:
            places[job_id] += 1
            assert job_id in hashes, f"ghost {job_id} in {name}"
            assert hashes[job_id]["queue"] == match[1], f"{job_id} is in a list of another queue"
            listed = "queued" if match[2] == "suspects" else match[2]
            assert hashes[job_id]["status"] == listed, f"{job_id} in {name} is {hashes[job_id]['status']}"
    assert all(places[job_id] == 1 for job_id in hashes), {i: places[i] for i in hashes if places[i] != 1}
    claims = {
        job_id: name.split(":")[1]
        for name, held in state.items()
        if re.fullmatch(r"worker:.+:claims", name)
        for job_id in held
    }
    running = {job_id: job["worker"] for job_id, job in hashes.items() if job["status"] == "running"}
    assert running == claims
    assert all("worker" in job for job in hashes.values() if job["status"] == "running")
    assert not any("worker" in job for job in hashes.values() if job["status"] != "running")
    grouped = {job_id for name, ids in state.items() if name.startswith("dead:group:") for job_id in ids}
    assert grouped == {job_id for job_id, job in hashes.items() if job["status"] == "dead"}
    groups = {name.split(":")[2]: len(ids) for name, ids in state.items() if name.startswith("dead:group:")}
    assert set(state.get("dead:groups", ())) == set(groups)


class Lane:
    """A worker for tests: registers itself, claims and settles by hand."""

    def __init__(self, queue: RedisQueue, wid: str = "w1", queues: tuple[str, ...] = ("default",)) -> None:
        self.queue, self.wid, self.queues, self.turns = queue, wid, queues, 0

    async def register(self, lease_ms: int = 15_000) -> Lane:
        info = WorkerInfo(
            "host", 11, 10, "0.1.0", self.queues, 10, {"greet": {"schema": {}, "timeout_s": 30}}
        )
        assert await self.queue.register(self.wid, info, lease_ms)
        return self

    async def turn(self, slots: int = 0, *settlements: Settlement, token: str = "") -> TurnReply:
        self.turns += 1
        token = token or f"{self.wid}t{self.turns}"
        return await self.queue.turn(Turn(self.wid, 0, token, slots, self.queues, settlements))

    async def claim(self, slots: int = 1, token: str = "") -> list[Job]:
        return (await self.turn(slots, token=token)).jobs

    async def settle(self, job: Job, outcome: str, **more: Any) -> str:
        return (await self.turn(0, Settlement(job.id, job.fence, outcome, **more))).settled[0]  # type: ignore[arg-type]


ERROR = '{"type":"ValueError","message":"no","traceback":"Traceback …"}'


async def dead_job(queue: RedisQueue, lane: Lane, fingerprint: str = "f1", **new: Any) -> Job:
    """A job that ran once on an otherwise empty queue and died."""
    await queue.enqueue(NewJob("greet", max_retries=0, **new))
    (job,) = await lane.claim(1)
    assert await lane.settle(job, "dead", error_json=ERROR, fingerprint=fingerprint) == "ok"
    return await queue.get(job.id)
