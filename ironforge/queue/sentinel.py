"""Redis behind Sentinel: who is the master now, asked again whenever the one we know fails us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis import exceptions as redis_errors

from ironforge.queue.packing import TcpConnection
from ironforge.queue.pool import Pool
from ironforge.queue.tls import TlsConnection
from ironforge.queue.urls import Address

SENTINEL_TIMEOUT_S = 1.0
LOOK_AGAIN_S = 1.0
_LOST = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ReadOnlyError,
    redis_errors.MasterDownError,
    OSError,
)


class MasterAway(redis_errors.ConnectionError):
    """No master can be named now. Its words are for people."""


class MasterFinder:
    """The master's address, kept until a connection to it fails.

    Args:
        sentinels: asked all at once; of those that answer in time the one that saw the latest failover is believed.
        service: their name for the master.
        connect: opens a connection to a Sentinel.
    """

    def __init__(
        self,
        sentinels: Sequence[Address],
        service: str,
        connect: Callable[[Address], Awaitable[TcpConnection]],
    ) -> None:
        self.epoch = 0  # of what is known; a connection made under an older one is not used again
        self._sentinels = sentinels
        self._service = service
        self._connect = connect
        self._known: Address | None = None
        self._asking = asyncio.Lock()
        self._asked_at = 0.0
        self._refused = False
        self._looking: asyncio.Task[None] | None = None

    async def find(self) -> Address:
        """Raises MasterAway."""
        async with self._asking:
            if self._known is None:
                self._known = await self._ask_all()
                self._asked_at = time.monotonic()
            return self._known

    def look_again(self) -> None:
        """Asks in the background now and then: a master that was replaced while it lived goes on taking writes, which
        are lost, until the Sentinels tell it seconds later."""
        if self._known is None or self._looking or time.monotonic() - self._asked_at < LOOK_AGAIN_S:
            return
        self._looking = asyncio.create_task(self._look(self.epoch, self._known))
        self._looking.add_done_callback(self._looked)

    async def _look(self, epoch: int, known: Address) -> None:
        try:
            found = await self._ask_all()
        except MasterAway:
            found = known  # whoever uses it will see
        self._asked_at = time.monotonic()
        if found != known:
            self.forget(epoch)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled():
            task.exception()

    def forget(self, epoch: int) -> None:
        """Called when a connection of that epoch failed."""
        if epoch == self.epoch:
            self.epoch += 1
            self._known = None

    async def _ask_all(self) -> Address:
        self._refused = False
        asking = [asyncio.create_task(self._ask(one)) for one in self._sentinels]
        enough = len(asking) // 2 + 1
        answers: list[dict[str, str] | None] = []
        try:
            for done in asyncio.as_completed(asking, timeout=SENTINEL_TIMEOUT_S):
                answer = await done
                if answer is not None:
                    answers.append(answer)
                if sum(bool(one) for one in answers) >= enough:
                    break
        except TimeoutError:
            pass  # those that answered decide
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        if not answers and self._refused:
            raise MasterAway("the Sentinels refuse the user or password of REDIS_URL")
        if not answers:
            raise MasterAway("none of the Sentinels of REDIS_URL answers")
        known = [one for one in answers if one]
        if not known:
            raise MasterAway("the Sentinels of REDIS_URL do not know that service; look at its name")
        # A hung master still takes connections; who waits for its answer loses seconds.
        if 2 * sum("s_down" in one["flags"] or "o_down" in one["flags"] for one in known) > len(known):
            raise MasterAway("the Redis master is down; the Sentinels have not chosen another yet")
        latest = max(known, key=lambda one: int(one["config-epoch"]))
        return latest["ip"], int(latest["port"])

    async def _ask(self, sentinel: Address) -> dict[str, str] | None:
        """What it says of the master; empty for a service it does not know, None when it does not answer."""
        connection: Any = None
        try:
            connection = await self._connect(sentinel)
            await connection.send_command("SENTINEL", "MASTER", self._service)
            reply = await connection.read_response()
        except redis_errors.ResponseError as error:
            return {} if "No such master" in str(error) else None
        except redis_errors.AuthenticationError:
            self._refused = True
            return None
        except (redis_errors.RedisError, OSError):
            return None
        finally:
            if connection is not None:
                await connection.disconnect(nowait=True)
        words: list[str] = [word.decode("utf-8", "replace") for word in reply]
        return dict(zip(words[::2], words[1::2], strict=True))


class MasterConnection(TcpConnection):
    """A connection to whoever is the master when it is opened."""

    def __init__(self, *, finder: MasterFinder, **more: Any) -> None:
        super().__init__(host="", port=0, **more)
        self.finder = finder
        self._epoch = -1

    @property
    def is_stale(self) -> bool:
        return self._epoch != self.finder.epoch

    async def _connect(self) -> None:
        self._epoch = self.finder.epoch
        self.host, self.port = await self.finder.find()
        try:
            await super()._connect()
        except _LOST:
            self.finder.forget(self._epoch)
            raise

    async def send_packed_command(self, *args: Any, **options: Any) -> None:
        try:
            await super().send_packed_command(*args, **options)
        except _LOST:
            self.finder.forget(self._epoch)
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            read: Any = super().read_response
            return await read(*args, **options)
        except _LOST:
            self.finder.forget(self._epoch)
            raise


class TlsMasterConnection(MasterConnection, TlsConnection):
    pass


class MasterPool(Pool):
    async def ensure_connection(self, connection: Any) -> None:
        connection.finder.look_again()
        if connection.is_stale:
            await connection.disconnect(nowait=True)
        await super().ensure_connection(connection)
