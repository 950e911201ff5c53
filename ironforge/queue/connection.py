"""How a Redis client is made, whatever form of Redis it is, and what its failures mean."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from ironforge.errors import StoreFull, StoreUnavailable
from ironforge.queue.cluster import ClusterClient, SlotMoving, Topology
from ironforge.queue.node import NodeClient
from ironforge.queue.packing import TcpConnection, UnixConnection
from ironforge.queue.pool import Pool
from ironforge.queue.sentinel import (
    SENTINEL_TIMEOUT_S,
    MasterAway,
    MasterConnection,
    MasterFinder,
    MasterPool,
    TlsMasterConnection,
)
from ironforge.queue.tls import TlsConnection, tls_context, tls_words
from ironforge.queue.urls import Address, RedisUrl, parse_redis_url

if TYPE_CHECKING:
    from ironforge.queue.client import RedisClient

SOCKET_TIMEOUT_S = 5.0  # below a third of the worker's lease: a black hole is noticed in time
CONNECT_TIMEOUT_S = 3.0
_MEANINGS = {
    "OOM": "Redis is out of memory; jobs can still finish, new ones are refused until there is room",
    "MISCONF": "Redis cannot write to its disk and refuses changes",
    "LOADING": "Redis is still loading its data",
    "READONLY": "this Redis is a replica and refuses changes",
    "BUSY": "Redis is busy with a script that runs too long",
    "CLUSTERDOWN": "a part of the Redis Cluster is down",
    "MASTERDOWN": "this Redis is a replica that lost its master",
    "MOVED": "the Redis Cluster is moving its slots",
    "ASK": "the Redis Cluster is moving this slot",
    "TRYAGAIN": "the Redis Cluster is moving this slot",
    "UNBLOCKED": "this Redis became a replica",
    "NOREPLICAS": "Redis has too few replicas and refuses changes",
    "NOPERM": (
        "the Redis user of REDIS_URL lacks a right that IronForge needs; 'ironforge doctor --acl' prints the line that "
        "gives all of them"
    ),
}
_PASSING = tuple(_MEANINGS)
# What may stand behind the first word, when a command inside a script was refused.
_TOLD_BY_SCRIPTS = (
    "BUSY",
    "LOADING",
    "MISCONF",
    "OOM",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "READONLY",
    "NOREPLICAS",
)
_DENIED_IN_SCRIPT = re.compile(r"ACL failure in script|The user executing the script can't")
# redis-py strips the first word of these and gives them a class instead.
_CLASSES: tuple[tuple[type[redis_errors.ResponseError], str], ...] = (
    (redis_errors.ReadOnlyError, "READONLY"),
    (redis_errors.OutOfMemoryError, "OOM"),
    (redis_errors.NoPermissionError, "NOPERM"),
    (redis_errors.MasterDownError, "MASTERDOWN"),
    (redis_errors.ClusterDownError, "CLUSTERDOWN"),
    (redis_errors.TryAgainError, "TRYAGAIN"),
    (redis_errors.MovedError, "MOVED"),
    (redis_errors.AskError, "ASK"),
)


def make_client(
    url: str, *, connections: int = 50, socket_timeout_s: float | None = SOCKET_TIMEOUT_S
) -> RedisClient:
    """A client that never sends a command twice by itself: only scripts know what is safe to repeat.

    Opens no connection. It speaks to the one server, to whoever is the Sentinels' master, or to the node that owns
    a command's key; see `client_at` for commands without one.

    Args:
        url: in one of the forms of `urls.FORMS`.
        connections: at most so many at once, to each server; a caller beyond waits for a free one.
        socket_timeout_s: None for a client that blocks on purpose.

    Raises:
        ConfigError: the URL cannot be used. The message never holds a password.
    """
    parsed = parse_redis_url(url)
    options = _connection_options(parsed, socket_timeout_s)
    pool_options: dict[str, Any] = {
        "max_connections": connections,
        "timeout": SOCKET_TIMEOUT_S,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    tls = {"tls": tls_context(parsed)} if parsed.tls else {}
    kind: type[TcpConnection] = TlsConnection if tls else TcpConnection
    if parsed.form == "sentinel":
        finder = MasterFinder(
            parsed.hosts, parsed.service, lambda sentinel: _to_sentinel(parsed, sentinel, tls)
        )
        master = TlsMasterConnection if tls else MasterConnection
        pool = MasterPool(connection_class=master, finder=finder, **tls, **options, **pool_options)
        return _client(pool)
    if parsed.form == "socket":
        return _client(Pool(connection_class=UnixConnection, path=parsed.path, **options, **pool_options))

    def to_server(address: Address) -> Any:
        host, port = address
        return _client(Pool(connection_class=kind, host=host, port=port, **tls, **options, **pool_options))

    if parsed.form == "cluster":
        cluster: Any = ClusterClient(Topology(parsed.hosts, to_server))
        return cluster
    return to_server(parsed.hosts[0])


def _client(pool: Pool) -> Any:
    return NodeClient.from_pool(pool)


def client_at(client: RedisClient, prefix: str) -> RedisClient:
    """The same client, whose commands without a key (INFO, TIME, SCAN, SCRIPT …) go where keys of that prefix are."""
    shared: Any = client
    return shared.at(prefix) if isinstance(client, ClusterClient) else client


def _connection_options(url: RedisUrl, socket_timeout_s: float | None) -> dict[str, Any]:
    return {
        "username": url.username,
        "password": url.password,
        "db": url.db,
        "protocol": 3,
        "legacy_responses": False,
        "socket_timeout": socket_timeout_s,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "driver_info": None,  # CLIENT SETINFO is not in 7.0
    }


async def _to_sentinel(url: RedisUrl, sentinel: Address, tls: dict[str, Any]) -> TcpConnection:
    """With credentials of their own, else without, and with Redis' own if they ask for any."""
    own = url.options.get("sentinel_username"), url.options.get("sentinel_password")
    try:
        return await _one_connection(sentinel, own, tls)
    except redis_errors.AuthenticationError:
        if own[1] or not url.password:
            raise
        return await _one_connection(sentinel, (url.username, url.password), tls)


async def _one_connection(
    address: Address, credentials: tuple[str | None, str | None], tls: dict[str, Any]
) -> TcpConnection:
    host, port = address
    username, password = credentials
    kind: type[TcpConnection] = TlsConnection if tls else TcpConnection
    connection = kind(
        host=host, port=port, username=username, password=password, protocol=2, driver_info=None,
        socket_timeout=SENTINEL_TIMEOUT_S, socket_connect_timeout=SENTINEL_TIMEOUT_S, **tls,
    )  # fmt: skip
    await connection.connect()
    if password is None:  # whether it wants one shows at the first command
        await connection.send_command("PING")
        await connection.read_response()
    return connection


@contextmanager
def store_errors() -> Generator[None]:
    """Around every exchange: what means "the store is away" becomes StoreUnavailable, other errors of Redis pass.

    On Python 3.11 a cancellation that arrives just as a command was sent is lost in `asyncio.wait_for`, which the
    client uses; whoever cancelled the task would wait for ever. It is raised here.
    """
    task = _this_task()
    cancelled_before = task.cancelling() if task else 0
    try:
        yield
    except redis_errors.AuthenticationError:
        raise StoreUnavailable("Redis refused the user or password of REDIS_URL") from None
    except (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError) as error:
        raise StoreUnavailable(_connection_words(error)) from None
    except RuntimeError as error:
        # uvloop's word for a connection that was reset between two steps of one call.
        if "handler is closed" not in str(error):
            raise
        raise StoreUnavailable(_connection_words(error)) from None
    except redis_errors.ResponseError as error:
        word = str(error).split(" ", 1)[0].rstrip(":")
        kind = word if word in _PASSING else _kind_of(error)
        if kind is None:
            raise
        if kind == "OOM":
            raise StoreFull(_MEANINGS[kind]) from None
        raise StoreUnavailable(_MEANINGS.get(kind, f"Redis cannot answer now ({kind})")) from None
    finally:
        if task and task.cancelling() > cancelled_before:
            raise asyncio.CancelledError


def _this_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return None


def _kind_of(error: redis_errors.ResponseError) -> str | None:
    for kind, word in _CLASSES:
        if isinstance(error, kind):
            return word
    if _DENIED_IN_SCRIPT.search(str(error)):
        return "NOPERM"
    return next((word for word in _TOLD_BY_SCRIPTS if f"{word} " in str(error)[:80]), None)


def _connection_words(error: BaseException) -> str:
    if isinstance(error, redis_errors.BusyLoadingError):
        return _MEANINGS["LOADING"]
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, MasterAway | SlotMoving):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    if words := tls_words(error):
        return words
    if isinstance(error, redis_errors.TimeoutError | TimeoutError):
        return "Redis does not answer in time"
    return "Redis cannot be reached"
