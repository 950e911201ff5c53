"""What breaks off half-way: a body, an answer, a poll of the live stream, a stream that comes too late."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ironforge import schemas
from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.queue.backend import RedisQueue
from ironforge.server import limits
from ironforge.server.app import create_app
from ironforge.server.auth import Role
from ironforge.server.live import Live
from ironforge.server.problems import LastResort
from tests.server.conftest import Served
from tests.server.sse import open_stream


def _post(path: str = "/jobs") -> Scope:
    headers = [
        (b"host", b"localhost:3000"),
        (b"content-type", b"application/json"),
        (b"content-length", b"90"),
    ]
    return {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": b"", "scheme": "http", "server": ("localhost", 3000), "client": ("127.0.0.1", 1), "headers": headers,
    }  # fmt: skip


async def test_a_body_that_breaks_off_is_no_job_even_where_it_reads_as_one(
    forge: Forge, queue: RedisQueue
) -> None:
    sent, send = _sent()
    coming: list[Message] = [
        {"type": "http.request", "body": b'{"kind":"a"}', "more_body": True},
        {"type": "http.disconnect"},
    ]
    await asyncio.wait_for(create_app(forge)(_post(), _giving(coming), send), 5)
    assert sent == []
    assert not await queue.client.exists(queue.keys.queues)


async def _begins_and_fails(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError("in the midst of it")


async def _begins_and_waits(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("app", "raised"),
    [
        (LastResort(_begins_and_fails), ValueError),
        (limits.Deadline(_begins_and_waits), TimeoutError),
        (LastResort(limits.Deadline(_begins_and_waits)), TimeoutError),
    ],
)
async def test_an_answer_that_began_is_broken_off_and_no_second_one_follows(
    app: ASGIApp, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only then does the server close the connection, and the client sees that the answer is not whole."""
    monkeypatch.setattr(limits, "ANSWER_TIMEOUT_S", 0.05)
    sent, send = _sent()
    with pytest.raises(raised):
        await asyncio.wait_for(app(_post(), _giving([]), send), 5)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_a_poll_that_fails_by_our_mistake_is_logged_and_the_next_one_comes(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read_queues = RedisQueue.read_queues
    calls = 0

    async def first_fails(self: RedisQueue) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyError("a bug")
        return await read_queues(self)

    monkeypatch.setattr(RedisQueue, "read_queues", first_fails)
    with caplog.at_level(logging.ERROR, "ironforge.server"):
        async with open_stream(served.url) as stream:
            await stream.until(lambda event: event.name == "stats", 3)
    assert "the live stream stumbled" in caplog.text


async def test_a_stream_that_begins_without_any_redis_is_greeted_in_full(namespace: str) -> None:
    forge = Forge(settings=Settings(redis_url="unix:///nowhere/redis.sock", namespace=namespace))
    live = Live(forge)
    with live.listen(Role.VIEWER) as listener:
        first = await asyncio.wait_for(anext(listener.events(live.epoch)), 3)
        live.close()
    text = first.decode()
    assert text.startswith("event: hello\n")
    hello = schemas.Hello.model_validate_json(text.split("data: ", 1)[1].split("\n", 1)[0])
    assert (hello.epoch, hello.namespace, hello.role) == (live.epoch, namespace, "viewer")
    assert (hello.redis, hello.durability) == ("", "unknown")
    await forge.aclose()


async def test_a_stream_that_begins_at_a_shutdown_ends_at_once(forge: Forge) -> None:
    live = Live(forge)
    live.close()
    with live.listen(Role.VIEWER) as listener:
        async with asyncio.timeout(3):
            assert [event async for event in listener.events(live.epoch)] == []
    assert not live.polling


def _sent() -> tuple[list[Message], Callable[[Message], Awaitable[None]]]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    return sent, send


def _giving(messages: list[Message]) -> Receive:
    async def receive() -> Message:
        return messages.pop(0) if messages else await asyncio.Future()

    return receive
