"""How a Redis client is made, and what its failures mean."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ironforge.errors import ConfigError, StoreUnavailable

SOCKET_TIMEOUT_S = 5.0  # below a third of the worker's lease: a black hole is noticed in time
CONNECT_TIMEOUT_S = 3.0
_PASSING = (
    "BUSY",
    "LOADING",
    "MISCONF",
    "OOM",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MASTERDOWN",
    "READONLY",
    "NOREPLICAS",
)
_MEANINGS = {
    "OOM": "Redis is out of memory; jobs can still finish, new ones are refused until there is room",
    "MISCONF": "Redis cannot write to its disk and refuses changes",
    "LOADING": "Redis is still loading its data",
    "READONLY": "this Redis is a replica and refuses changes",
    "BUSY": "Redis is busy with a script that runs too long",
}


def make_client(
    url: str, *, connections: int = 50, socket_timeout_s: float | None = SOCKET_TIMEOUT_S
) -> Redis:
    """A client that never sends a command twice by itself: only scripts know what is safe to repeat.

    Args:
        url: redis://, rediss:// or unix://.
        connections: at most so many at once; a caller beyond waits for a free one.
        socket_timeout_s: None for a client that blocks on purpose.

    Raises:
        ConfigError: the URL cannot be used. The message never holds a password.
    """
    scheme = urlsplit(url).scheme
    if scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(
            f"REDIS_URL begins with {scheme or 'nothing'}://; use redis://, rediss:// or unix://"
        )
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            protocol=3,
            legacy_responses=False,
            max_connections=connections,
            timeout=SOCKET_TIMEOUT_S,
            socket_timeout=socket_timeout_s,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
    except ValueError as error:
        raise ConfigError(f"REDIS_URL cannot be used: {error}") from None
    return Redis.from_pool(pool)


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
    except redis_errors.ResponseError as error:
        word = str(error).split(" ", 1)[0].rstrip(":")
        kind = word if word in _PASSING else _kind_of(error)
        if kind is None:
            raise
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
    """redis-py strips the first word of some errors and gives them a class instead."""
    if isinstance(error, redis_errors.ReadOnlyError):
        return "READONLY"
    if isinstance(error, redis_errors.OutOfMemoryError):
        return "OOM"
    if isinstance(error, redis_errors.NoPermissionError):
        return "NOPERM"
    return next((word for word in _PASSING if f"{word} " in str(error)[:80]), None)


def _connection_words(error: Exception) -> str:
    if isinstance(error, redis_errors.BusyLoadingError):
        return _MEANINGS["LOADING"]
    if isinstance(error, redis_errors.TimeoutError | TimeoutError):
        return "Redis does not answer in time"
    return "Redis cannot be reached"
