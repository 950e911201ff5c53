"""Books written by hand: one job J of queue q1 in each place, with numbers that are easy to tell apart."""

from __future__ import annotations

import shlex
from typing import Any

from ironforge.queue.backend import RedisQueue

BAND = 2**51
DAY = 86_400_000
T = 1_800_000_000_000
SEQUENCE = 7
_SCORE = 2 * BAND + SEQUENCE  # of a job of medium priority
PLACES = ("queued", "suspects", "scheduled", "retrying", "running", "completed", "dead", "cancelled")

# Commands on keys without the prefix. Each of these is well.
_FIELDS = {
    "queued": "status queued",
    "suspects": "status queued crashes 2 attempt_count 2 fence 2:t attempt:2 '1 2 w0 crashed {}'",
    "scheduled": f"status scheduled run_at {T}",
    "retrying": f"status retrying run_at {T} retry_count 1 attempt_count 1 fence 1:t attempt:1 '1 2 w0 failed {{}}'",
    "running": f"status running started_at {T} worker w1 fence 1:t sequence {SEQUENCE}",
    "completed": f"status completed finished_at {T} attempt_count 1 fence 1:t attempt:1 '1 2 w0 completed'",
    "dead": f"status dead finished_at {T} attempt_count 1 fence 1:t attempt:1 '1 2 w0 failed {{}}' fingerprint f1",
    "cancelled": f"status cancelled finished_at {T}",
}
_KEPT = {"completed": DAY, "cancelled": DAY}


def healthy(place: str) -> list[str]:
    """The commands that make books with one job, in this place."""
    score = _SCORE if place in ("queued", "suspects") else T + _KEPT.get(place, 0)
    commands = [
        f"HSET job:J queue q1 kind greet {_FIELDS[place]}",
        f"ZADD q:q1:{place} {score} J",
        "SADD queues q1",
        f"HSET q:q1:settings sequence {SEQUENCE}",
    ]
    if place == "running":
        commands += [*worker("w1"), "SADD worker:w1:claims J"]
    if place == "dead":
        commands += [f"ZADD dead:group:f1 {T} J", "ZADD dead:groups 1 f1"]
    return commands


def worker(wid: str) -> list[str]:
    return [f"ZADD workers {10 * T} {wid}", f"HSET worker:{wid} host h"]


async def write(queue: RedisQueue, *commands: str) -> None:
    pipe = queue.client.pipeline(transaction=False)
    for line in commands:
        command, key, *words = shlex.split(line)
        pipe.execute_command(command, queue.keys.prefix + key, *words)
    await pipe.execute()


async def clear(queue: RedisQueue) -> None:
    async for key in queue.client.scan_iter(queue.keys.prefix + "*", count=1_000):
        await queue.client.delete(key)


async def everything(queue: RedisQueue) -> dict[str, Any]:
    """Each key's whole content, scores too, and which keys end by themselves."""
    state: dict[str, Any] = {}
    async for raw in queue.client.scan_iter(queue.keys.prefix + "*", count=1_000):
        key = raw.decode()
        name = key.removeprefix(queue.keys.prefix)
        match (await queue.client.type(key)).decode():
            case "hash":
                state[name] = await queue.client.hgetall(key)
            case "set":
                state[name] = await queue.client.smembers(key)
            case "zset":
                state[name] = dict(await queue.client.zrange(key, 0, -1, withscores=True))
            case _:
                state[name] = await queue.client.get(key)
        if await queue.client.pttl(key) >= 0:
            state[f"{name} ends"] = True
    return state


async def call(queue: RedisQueue, script: str, *arguments: str | int) -> Any:
    """A script of the auditor, its reply as text."""
    (shard,) = await queue.all_shards()
    return _text(await shard.call(script, *arguments))


def _text(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_text(one) for one in reply]  # pyright: ignore[reportUnknownVariableType]
    return reply.decode() if isinstance(reply, bytes) else reply
