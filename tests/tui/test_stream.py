"""The pump against a server that behaves badly, on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ironforge.tui.api import Api
from ironforge.tui.stream import LONGEST_PAUSE_S, Event, Lost, Polled, Pump, pause_after


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironforge.tui.stream.LOST_S", 0.4)


Write = Callable[[bytes], Awaitable[None]]


def _answer(body: object, status: str = "200 OK", **headers: str) -> bytes:
    text = json.dumps(body).encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (
        f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n{more}Connection: close\r\n\r\n".encode() + text
    )


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def _pump(
    stream: Callable[[Write], Awaitable[None]], other: bytes = b""
) -> AsyncIterator[AsyncIterator[object]]:
    """A pump whose server answers /events by `stream` and everything else by `other`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        try:
            await (stream(write) if path == b"/events" else write(other))
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    api = Api(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    happened = Pump(api).run()
    try:
        yield happened
    finally:
        await happened.aclose()  # type: ignore[attr-defined]
        await api.close()
        server.close()


async def test_events_then_a_loss_with_the_next_try() -> None:
    async def stream(write: Write) -> None:
        await write(
            STREAM
            + b'event: hello\ndata: {"seq":0,\ndata: "big": '
            + b"9" * 5_000
            + b"}\n\nevent: hb\ndata: {}\n\n"
        )

    async with _pump(stream) as happened:
        first = await anext(happened)
        assert isinstance(first, Event) and first.name == "hello" and "5,000 digits" in first.data["big"]
        assert await anext(happened) == Event("hb", {})
        lost = await anext(happened)
        assert isinstance(lost, Lost) and lost.next_try_s is not None and lost.next_try_s <= 0.25
        assert isinstance(await anext(happened), Event), "and it begins again"


async def test_a_token_that_is_refused_is_not_tried_again_unasked() -> None:
    async def stream(write: Write) -> None:
        await write(_answer({}, "401 Unauthorized"))

    async with _pump(stream) as happened:
        lost = await anext(happened)
        assert isinstance(lost, Lost) and lost.denied and lost.next_try_s is None


async def test_retry_after_is_honoured() -> None:
    async def stream(write: Write) -> None:
        await write(_answer({}, "503 Service Unavailable", Retry_After="5"))

    async with _pump(stream) as happened:
        lost = await anext(happened)
        assert isinstance(lost, Lost) and lost.next_try_s is not None and lost.next_try_s >= 5.0


async def test_what_is_no_json_is_a_loss_and_not_an_end() -> None:
    async def stream(write: Write) -> None:
        await write(STREAM + b"event: stats\ndata: {nonsense\n\n")

    async with _pump(stream) as happened:
        lost = await anext(happened)
        assert isinstance(lost, Lost) and "not JSON" in lost.words


async def test_where_no_stream_gets_through_it_polls() -> None:
    async def stream(write: Write) -> None:
        await write(STREAM)
        await asyncio.wait_for(asyncio.Event().wait(), 30)  # says no more

    async with _pump(stream, _answer({"queues": [{"name": "default"}], "queue_depth": 3})) as happened:
        polled = await anext(happened)
        assert isinstance(polled, Polled) and polled.queues == [{"name": "default"}]


async def test_a_server_that_hangs_is_a_loss() -> None:
    async def stream(write: Write) -> None:
        await write(STREAM + b"event: hb\ndata: {}\n\n")
        await asyncio.wait_for(asyncio.Event().wait(), 30)  # says no more

    async with _pump(stream) as happened:
        assert isinstance(await anext(happened), Event)
        lost = await anext(happened)
        assert isinstance(lost, Lost) and "nothing heard for 0.4 s" in lost.words


def test_pauses_double_up_to_ten_seconds_with_full_jitter() -> None:
    assert [pause_after(n, lambda low, high: high) for n in (1, 2, 3, 6, 7, 40)] == [0.25, 0.5, 1, 8, 10, 10]
    assert all(0 < pause_after(9) <= LONGEST_PAUSE_S for _ in range(100))
    assert pause_after(9, lambda low, high: low) < 0.1, "down to nothing"
