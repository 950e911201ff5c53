"""What of a failed exchange means that the store is away, and what is passed on as it is."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from ironforge.errors import StoreUnavailable
from ironforge.queue.connection import store_errors


def test_a_connection_reset_between_two_steps_is_a_store_that_is_away() -> None:
    """uvloop then raises a RuntimeError, where asyncio would not."""

    async def two_steps() -> None:
        loop = asyncio.get_running_loop()
        lost = loop.create_future()

        class Client(asyncio.Protocol):
            def connection_lost(self, exc: Exception | None) -> None:
                lost.set_result(exc)

        with socket.create_server(("127.0.0.1", 0)) as listening:
            transport, _ = await loop.create_connection(Client, *listening.getsockname())
            transport.abort()
            await lost
            with pytest.raises(StoreUnavailable), store_errors():
                transport.writelines([b"PING\r\n"])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(two_steps())


def test_a_mistake_of_ours_is_not_taken_for_an_outage() -> None:
    with pytest.raises(RuntimeError, match="ours") as raised, store_errors():
        raise RuntimeError("a mistake of ours")
    assert not isinstance(raised.value, StoreUnavailable)


def test_it_works_without_a_loop() -> None:
    with pytest.raises(StoreUnavailable), store_errors():
        raise ConnectionResetError
