"""A violation of each rule, and of each kind within a rule."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

from tests.auditor.town import Plant, Town

BAND = 2**51


def _field(name: str, field: str, value: str | int) -> Any:
    async def damage(town: Town) -> None:
        await town.queue.client.hset(town.job(name), field, value)

    return damage


def _without(name: str, field: str) -> Any:
    async def damage(town: Town) -> None:
        await town.queue.client.hdel(town.job(name), field)

    return damage


def _out_of(part: str, name: str, queue: str = "default") -> Any:
    async def damage(town: Town) -> None:
        assert await town.queue.client.zrem(town.index(part, queue), town.ids[name]) == 1

    return damage


def _into(part: str, name: str, score: float = 1, queue: str = "default") -> Any:
    async def damage(town: Town) -> None:
        await town.queue.client.zadd(town.index(part, queue), {town.ids.get(name, name): score})

    return damage


def _one(command: str, key: str, *more: str | int) -> Any:
    """A command on a key named without the prefix; a name in braces is a job's id."""

    async def damage(town: Town) -> None:
        words = [word.format(**town.ids) if isinstance(word, str) else word for word in more]
        await town.queue.client.execute_command(
            command, town.queue.keys.prefix + key.format(**town.ids), *words
        )

    return damage


def _all(*steps: Any) -> Any:
    async def damage(town: Town) -> None:
        for step in steps:
            done: Awaitable[object] = step(town)
            await done

    return damage


def _later(name: str, field: str) -> Any:
    """A time field of a job is in the future."""
    return _field(name, field, int(time.time() * 1000) + 50_000_000)


PLANTS = [
    *(
        Plant(f"{name} in no list", "not_indexed", name, _out_of(part, name))
        for name, part in (
            ("queued", "queued"), ("scheduled", "scheduled"), ("retrying", "retrying"), ("running", "running"),
            ("completed", "completed"), ("dead", "dead"), ("cancelled", "cancelled"), ("stopping", "running"),
        )
    ),
    Plant("paused in no list", "not_indexed", "paused", _out_of("queued", "paused", "mail")),
    Plant("suspect in no list", "not_indexed", "suspect", _out_of("suspects", "suspect", "poison")),
    Plant("dead, its time lost too", "not_indexed", "dead", _all(_out_of("dead", "dead"), _without("dead", "finished_at"))),
    Plant("in two lists", "several_places", "scheduled", _into("dead", "scheduled")),
    Plant("running and queued", "several_places", "running", _into("queued", "running", 2 * BAND + 5)),
    Plant("queued and suspect", "several_places", "queued", _into("suspects", "queued", 2 * BAND + 5)),
    Plant("in a list of another queue", "several_places", "queued", _into("queued", "queued", 2 * BAND + 5, "mail")),
    Plant("in two wrong lists", "several_places", "completed", _all(_out_of("completed", "completed"), _into("dead", "completed"), _into("queued", "completed", 2 * BAND + 5))),
    Plant("in the wrong list", "wrong_place", "cancelled", _field("cancelled", "status", "completed")),
    Plant("in another queue alone", "wrong_place", "queued", _all(_out_of("queued", "queued"), _into("queued", "queued", 2 * BAND + 5, "mail"))),
    Plant("suspect by mistake", "suspect", "queued", _all(_out_of("queued", "queued"), _into("suspects", "queued", 2 * BAND + 5))),
    Plant("no suspect by mistake", "suspect", "queued", _field("queued", "crashes", 2)),
    Plant("rank of another priority", "score", "queued", _into("queued", "queued", 5)),
    Plant("due at another time", "score", "scheduled", _into("scheduled", "scheduled", 9e15)),
    Plant("kept too long", "score", "completed", _into("completed", "completed", 9e15)),
    Plant("half a sequence", "score", "queued", _into("queued", "queued", 2 * BAND + 0.5)),
    Plant("no due time", "score", "retrying", _without("retrying", "run_at")),
    Plant("running since another time", "score", "running", _into("running", "running", 7)),
    Plant("a status that is none", "status", "queued", _field("queued", "status", "resting"), False),
    Plant("no hash", "damaged", "text", _one("SET", "job:text", "no hash"), False),
    Plant("no status", "damaged", "hollow", _one("HSET", "job:hollow", "kind", "x"), False),
    Plant("no queue", "damaged", "queued", _without("queued", "queue"), False),
    Plant("a hash is gone", "ghost", "queued", _one("DEL", "job:{queued}"), loses=("queued",)),
    Plant("a running job's hash is gone", "ghost", "running", _one("DEL", "job:{running}"), loses=("running",)),
    Plant("a dead job's hash is gone", "ghost", "dead", _one("DEL", "job:{dead}"), loses=("dead",)),
    Plant("a ghost", "ghost", "ghost", _into("completed", "ghost", 9e15)),
    Plant("a ghost in an unknown queue", "ghost", "ghost", _into("queued", "ghost", 1, "nowhere")),
    Plant("a ghost in a group", "ghost", "ghost", _one("ZADD", "dead:group:f1", 1, "ghost")),
    Plant("a ghost of no text", "ghost", "\udcff", _one("ZADD", "q:default:dead", 1, b"\xff")),  # type: ignore[arg-type]
    Plant("no number", "fields", "queued", _field("queued", "crashes", "many"), False),
    Plant("a rank that is none", "fields", "queued", _field("queued", "priority", 7), False),
    Plant("too many fields", "fields", "queued", _one("HSET", "job:{queued}", *(str(at) for at in range(200))), False),
    Plant("would vanish", "expires", "queued", _one("PEXPIRE", "job:{queued}", 100_000)),
    Plant("a list would vanish", "expires", "q:default:dead", _one("PEXPIRE", "q:default:dead", 100_000)),
    Plant("a fence that is none", "fence", "running", _field("running", "fence", "mine"), False),
    Plant("claims of a waiting job", "claim", "queued", _one("SADD", "worker:w1:claims", "{queued}")),
    Plant("claims of a ghost", "claim", "ghost", _one("SADD", "worker:gone:claims", "ghost")),
    Plant("two holders", "claim", "running", _one("SADD", "worker:w2:claims", "{running}")),
    Plant("still names a holder", "claimed", "queued", _field("queued", "worker", "w1")),
    Plant("not claimed", "unclaimed", "running", _one("SREM", "worker:w1:claims", "{running}")),
    Plant("no holder named", "unclaimed", "running", _without("running", "worker")),
    Plant("no lease", "unclaimed", "running", _one("ZREM", "workers", "w1")),
    Plant("no lease, to be cancelled", "unclaimed", "stopping", _one("ZREM", "workers", "w1")),
    Plant("a worker without a lease", "orphan", "w1", _one("ZREM", "workers", "w1")),
    Plant("left by a worker", "orphan", "gone", _one("HSET", "worker:gone", "host", "x")),
    Plant("orders of nobody", "orphan", "gone", _one("SADD", "worker:gone:orders", "stop")),
    Plant("says nothing of itself", "worker", "w1", _one("DEL", "worker:w1"), False),
    Plant("more retries than it has", "counts", "retrying", _field("retrying", "retry_count", 4), False),
    Plant("too many crashes", "counts", "suspect", _field("suspect", "crashes", 3), False),
    Plant("too many lapses", "counts", "completed", _field("completed", "lapses", 22), False),
    Plant("an attempt is missing", "counts", "dead", _field("dead", "attempt_count", 12), False),
    Plant("an old attempt is kept", "attempts", "dead", _field("dead", "attempt:3", "1 2 w1 failed")),
    Plant("completed and yet not", "outcome", "retrying", _field("retrying", "attempt:1", "1 2 w1 completed"), False),
    Plant("a record that is none", "idempotency", "idem:key-1", _one("SET", "idem:key-1", "text", "PX", 60_000), False),
    Plant("a job is gone without a trace", "ledger", "ledger", _all(_one("DEL", "job:{queued}"), _out_of("queued", "queued")), loses=("queued",)),
    Plant("more jobs than were submitted", "ledger", "ledger", _one("HINCRBY", "stats", "removed", 5)),
    Plant("ran though paused", "paused", "running", _one("HSET", "q:default:settings", "paused", 1), False),
    Plant("a mark that is none", "wake", "default", _one("ZADD", "q:default:wake", 1, "up")),
    Plant("waits for what it does not run", "alone", "w1", _one("HSET", "worker:w1", "alone", "{queued}")),
    Plant("cancel was not ordered", "order", "stopping", _one("SREM", "worker:w1:orders", "cancel:{stopping}")),
    Plant("still to be cancelled", "order", "dead", _field("dead", "cancel_requested", 1)),
    Plant("an old order", "stale_order", "w1", _one("SADD", "worker:w1:orders", "cancel:{dead}")),
    Plant("the sequence ran back", "sequence", "default", _one("HSET", "q:default:settings", "sequence", 7)),
    Plant("the sequence is lost", "sequence", "default", _one("DEL", "q:default:settings")),
    Plant("the sequence is too large", "sequence", "default", _one("HSET", "q:default:settings", "sequence", BAND)),
    Plant("a queue forgotten", "unknown_queue", "queued", _one("SREM", "queues", "default")),
    Plant("settings of no queue", "unknown_queue", "nowhere", _one("HSET", "q:nowhere:settings", "paused", 1)),
    Plant("not in its group", "group", "dead", _one("ZREM", "dead:group:f1", "{dead}")),
    Plant("its group is not listed", "group", "dead", _one("ZREM", "dead:groups", "f1")),
    Plant("has no group", "group", "dead", _without("dead", "fingerprint")),
    Plant("still in its group", "group", "queued", _all(_field("queued", "fingerprint", "f1"), _one("ZADD", "dead:group:f1", 1, "{queued}"))),
    Plant("in another's group", "other_group", "dead", _one("ZADD", "dead:group:f2", 1, "{dead}")),
    Plant("not dead, in a group", "other_group", "queued", _one("ZADD", "dead:group:f1", 1, "{queued}")),
    Plant("a group counts wrong", "group_count", "f1", _one("ZINCRBY", "dead:groups", 5, "f1")),
    Plant("an empty group", "group_count", "f9", _one("ZADD", "dead:groups", 3, "f9")),
    Plant("an empty group that counts nothing", "group_count", "f9", _one("ZADD", "dead:groups", 0, "f9")),
    Plant("a record for ever", "no_ttl", "idem:key-1", _one("PERSIST", "idem:key-1")),
    Plant("a lock for ever", "no_ttl", "lock:door", _one("PERSIST", "lock:door")),
    Plant("a key of somebody", "unknown_key", "notes", _one("SET", "notes", "x"), False),
    Plant("a list that is none", "damaged_key", "q:default:dead", _all(_one("DEL", "q:default:dead"), _one("SET", "q:default:dead", "x")), False),
    Plant("claims that are none", "damaged_key", "worker:w1:claims", _all(_one("DEL", "worker:w1:claims"), _one("SET", "worker:w1:claims", "x")), False),
]  # fmt: skip
