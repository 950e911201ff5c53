"""What an acknowledged job survives: the class found, the class asked for, and what of this Redis needs a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, cast

from redis import exceptions as redis_errors

from ironforge.errors import StartupError, StoreUnavailable
from ironforge.queue.client import RedisClient
from ironforge.queue.connection import store_errors
from ironforge.queue.readings import Health
from ironforge.queue.scripts import Argument, Script

# A replica confirms within its lag. Twice this stays below the time in which a request has to be answered.
CONFIRM_MS = 1_500
FULL_SHARE = 0.9
LARGEST_SKEW_S = 5.0
INFO_REFUSED = "unknown, since INFO is refused to this Redis user"
NO_REPLICA = "no replica of Redis is connected: every submission is answered with not_confirmed"
NOEVICTION = "run 'redis-cli CONFIG SET maxmemory-policy noeviction'"


class Disk(NamedTuple):
    """How a Redis keeps its data.

    Attributes:
        appendonly: whether each change is written to a file; None where INFO is refused to us.
        appendfsync: always, everysec or no; None where CONFIG GET is refused to us.
        failing: the last write failed, so that changes are refused.
    """

    appendonly: bool | None
    appendfsync: str | None
    failing: bool

    @property
    def word(self) -> Literal["none", "everysec", "always", "unknown"]:
        """The class. An appendfsync that cannot be read counts as the server's default."""
        if self.appendonly is None:
            return "unknown"
        if not self.appendonly or self.appendfsync == "no":
            return "none"
        return "always" if self.appendfsync == "always" else "everysec"

    @property
    def sentence(self) -> str:
        if self.appendonly is None:
            return INFO_REFUSED
        if not self.appendonly:
            return "appendonly no"
        return f"appendonly yes, appendfsync {self.appendfsync or 'unknown, since CONFIG GET is refused'}"

    @property
    def is_known(self) -> bool:
        return self.appendonly is False or (self.appendonly is True and self.appendfsync is not None)


class Node(NamedTuple):
    """One server: its answer to INFO, {} where that is refused to us, and how it keeps its data."""

    info: dict[str, Any]
    disk: Disk


_CLASSES = ("unknown", "none", "everysec", "always")


def weakest(nodes: Sequence[Node]) -> Node:
    """In each respect as the worst of them: a namespace on several servers is as safe as that."""
    if len(nodes) == 1:
        return nodes[0]
    infos = [node.info for node in nodes]
    policies = [info.get("maxmemory_policy") for info in infos]
    fullest = max(
        infos, key=lambda info: info.get("used_memory", 0) / (info.get("maxmemory", 0) or float("inf"))
    )
    fewest = min(infos, key=online_replicas)
    merged = {
        **infos[0],
        **{name: value for name, value in fewest.items() if name.startswith(("slave", "connected_slaves"))},
        **{name: fullest[name] for name in ("used_memory", "maxmemory") if name in fullest},
        "maxmemory_policy": next((policy for policy in policies if policy != "noeviction"), "noeviction"),
        "role": "slave" if any(info.get("role") == "slave" for info in infos) else "master",
    }
    disk = min((node.disk for node in nodes), key=lambda disk: _CLASSES.index(disk.word))
    failing = any(node.disk.failing for node in nodes)
    return Node(merged if all(infos) else {}, disk._replace(failing=failing))


async def read_node(client: RedisClient) -> Node:
    """Raises StoreUnavailable."""
    info = await _read_info(client)
    return Node(info, await _read_disk(client, info))


async def _read_info(client: RedisClient) -> dict[str, Any]:
    """What Redis says of itself; nothing where INFO is refused to this user. Raises StoreUnavailable."""
    with store_errors():
        try:
            info = await client.info()
        except redis_errors.NoPermissionError:
            return {}
    if int(info.get("loading", 0)):  # INFO is answered meanwhile, and nothing of ours is
        raise StoreUnavailable("Redis is still loading its data")
    return info


async def _read_disk(client: RedisClient, info: dict[str, Any]) -> Disk:
    failing = "err" in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status"))
    return Disk(bool(int(info.get("aof_enabled", 0))) if info else None, await _appendfsync(client), failing)


async def _appendfsync(client: RedisClient) -> str | None:
    try:
        with store_errors():
            try:
                found = await client.execute_command("CONFIG", "GET", "appendfsync")
            except redis_errors.NoPermissionError:
                return None
    except redis_errors.ResponseError:  # no such command: a managed Redis
        return None
    values = [part for pair in cast("dict[Any, Any]", found).items() for part in pair] if isinstance(found, dict) else list(found)  # fmt: skip
    return values[1].decode() if len(values) > 1 else None


def online_replicas(info: dict[str, Any]) -> int:
    """Replicas that follow; one that still loads the whole data confirms nothing."""
    replicas = (info.get(f"slave{at}") for at in range(int(info.get("connected_slaves", 0))))
    return sum(
        isinstance(one, dict) and cast("dict[str, Any]", one).get("state") == "online" for one in replicas
    )


def refuse_undurable(asked: str, disk: Disk, *, allow_unsafe: bool = False) -> None:
    """Raises StartupError where `always` was asked for and the server is set otherwise.

    A missing replica is no reason to refuse: it comes and goes, and what it costs is seen at each submission.

    Args:
        allow_unsafe: take a setting that cannot be read on trust.
    """
    if asked != "always" or disk.word == "always" or (allow_unsafe and not disk.is_known):
        return
    if not disk.is_known:
        raise StartupError(
            "durability 'always' was asked for, and whether this Redis has appendonly yes and appendfsync always cannot "
            "be read, since INFO or CONFIG GET is refused: allow both to this user ('ironforge doctor --acl' prints its "
            "rights), or start with --allow-unsafe-redis to take it on trust"
        )
    raise StartupError(
        f"durability 'always' was asked for, which needs appendonly yes and appendfsync always, and this Redis has "
        f"{disk.sentence}: set both with 'redis-cli CONFIG SET', or start with --durability local"
    )


class Concern(NamedTuple):
    """Something about a Redis that needs a person, by a stated rule."""

    rule: Literal["eviction", "durability", "replicas", "disk", "replica", "memory", "clock"]
    severity: Literal["warn", "bad"]
    message: str
    hint: str


def concerns(health: Health, here_ms: int) -> list[Concern]:
    """What is not as it should be.

    Args:
        here_ms: this machine's clock, Unix milliseconds, when `health` was read.
    """
    return [*_of_settings(health), *_of_state(health, here_ms)]


def _of_settings(health: Health) -> Iterator[Concern]:
    if health.policy == INFO_REFUSED:
        message = (
            "INFO is refused to this Redis user: its version, eviction policy and durability cannot be read"
        )
        yield Concern(
            "eviction", "warn", message, "'ironforge doctor --acl' prints the rights that are needed"
        )
    elif health.policy != "noeviction":
        message = (
            f"Redis throws keys away when it is full (maxmemory-policy {health.policy}), which loses jobs"
        )
        yield Concern("eviction", "bad", message, NOEVICTION)
    if health.asked == "always" and health.durability != "always":
        message = f"durability 'always' was asked for, and Redis has {health.persistence}"
        yield Concern("durability", "bad", message, "redis-cli CONFIG SET appendonly yes appendfsync always")
    elif health.persistence == "appendonly no":
        message = "Redis writes nothing to disk: a restart of it loses every job"
        yield Concern("durability", "warn", message, "redis-cli CONFIG SET appendonly yes")
    elif health.persistence.endswith("appendfsync no"):
        message = "Redis never asks for its data to reach the disk (appendfsync no): a crash of its machine loses jobs"
        yield Concern("durability", "warn", message, "redis-cli CONFIG SET appendfsync everysec")


def _of_state(health: Health, here_ms: int) -> Iterator[Concern]:
    if health.is_replica:
        message = "this Redis is a replica and refuses changes"
        yield Concern(
            "replica", "bad", message, "point REDIS_URL at the primary, or name the Sentinels in it"
        )
    elif health.asked == "replicated" and not health.replicas:
        yield Concern("replicas", "bad", NO_REPLICA, "start a replica ('redis-cli REPLICAOF …' on it)")
    if health.failing:
        message = "Redis cannot write to its disk and refuses changes"
        yield Concern("disk", "bad", message, "make room on its disk; its log names the error")
    if health.max_memory and health.used_memory >= health.max_memory * FULL_SHARE:
        share = health.used_memory / health.max_memory
        message = f"Redis is {share:.0%} full: " + (
            "new jobs are refused, running ones can finish"
            if share >= 1
            else "when it is full, new jobs are refused"
        )
        yield Concern(
            "memory", "bad" if share >= 1 else "warn", message, "raise maxmemory, or delete dead jobs"
        )
    skew_s = (health.clock_ms - here_ms) / 1000
    if abs(skew_s) > LARGEST_SKEW_S:
        message = f"the clock of Redis is {skew_s:+,.0f} s from this machine's: one of the two is wrong"
        yield Concern("clock", "warn", message, "set it by NTP; what is due is due by the clock of Redis")


async def confirmed(
    client: RedisClient, code: Script, prefix: str, calls: list[tuple[Argument, ...]], touched: str
) -> tuple[list[Any], bool]:
    """Runs a script that accepts jobs, and waits until one replica has what it wrote.

    One pipeline on one connection: inside a script WAIT never blocks, and on another connection it waits for nothing.

    Args:
        calls: the arguments of each call.
        touched: a key that may be written for a moment.

    Returns:
        The replies, and whether a replica confirmed in time. Errors of replies are raised.
    """
    replies: list[Any] = []
    pipe = client.pipeline(transaction=False)
    for arguments in calls:
        pipe.execute_command("EVALSHA", code.digest, 1, prefix, *arguments)
    pipe.execute_command("WAIT", 1, CONFIRM_MS)
    *replies, replicas = await pipe.execute(raise_on_error=False)
    forgotten = [at for at, reply in enumerate(replies) if isinstance(reply, redis_errors.NoScriptError)]
    if forgotten:
        pipe = client.pipeline(transaction=False)
        for at in forgotten:
            pipe.execute_command("EVAL", code.text, 1, prefix, *calls[at])
        pipe.execute_command("WAIT", 1, CONFIRM_MS)
        *again, replicas = await pipe.execute(raise_on_error=False)
        for at, reply in zip(forgotten, again, strict=True):
            replies[at] = reply
    for reply in (*replies, replicas):
        if isinstance(reply, Exception):
            raise reply
    if any(b"exists" in reply for reply in replies):
        replicas = await _confirmed_again(client, touched)
    return replies, replicas > 0


async def _confirmed_again(client: RedisClient, touched: str) -> int:
    """A job that was there is not written again, and from Redis 7.2 on WAIT only looks at what its own connection wrote."""
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("SET", touched, "1", "PX", CONFIRM_MS)
    pipe.execute_command("WAIT", 1, CONFIRM_MS)
    written, replicas = await pipe.execute(raise_on_error=False)
    # A full Redis refuses the write. The job is there, but nothing says that a replica has it.
    return 0 if isinstance(written, Exception) or isinstance(replicas, Exception) else replicas
