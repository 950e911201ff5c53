"""The proxy does what it says: otherwise no test through it proves anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from tests.faults.frames import BrokenFrame, Frames, words
from tests.faults.proxy import BLACK_HOLE, Cut, FaultProxy, Flow, some_replies

PING = b"*1\r\n$4\r\nPING\r\n"
PONG = b"+PONG\r\n"
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncGenerator[Ends]:
    """A bare connection, so that nothing of a client stands between the test and the bytes."""
    path = proxy.url.removeprefix("unix://")
    if path.startswith("/"):
        reader, writer = await asyncio.open_unix_connection(path)
    else:
        host, port = path.removeprefix("redis://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def set_to(key: str, value: str) -> bytes:
    return f"*3\r\n$3\r\nSET\r\n${len(key)}\r\n{key}\r\n${len(value)}\r\n{value}\r\n".encode()


def get(key: str) -> bytes:
    return f"*2\r\n$3\r\nGET\r\n${len(key)}\r\n{key}\r\n".encode()


async def answer(ends: Ends, request: bytes, within_s: float = 5) -> bytes:
    """What comes until the connection ends, or one whole reply."""
    reader, writer = ends
    writer.write(request)
    frames, came = Frames(), b""
    async with asyncio.timeout(within_s):
        while data := await reader.read(1000):
            came += data
            if frames.feed(data):
                break
    return came


async def is_silent(ends: Ends, request: bytes) -> bool:
    try:
        await answer(ends, request, 0.2)
    except TimeoutError:
        return True
    return False


def only(verb: bytes, cut: Cut) -> Callable[[Random, list[bytes]], Cut | None]:
    return lambda _, request: cut if request[0] == verb else None


@pytest.mark.parametrize(
    "message",
    [
        b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b"$5\r\na\r\nbc\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"*0\r\n", b"*-1\r\n",
        b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n", b"%1\r\n+a\r\n*1\r\n:1\r\n", b"~2\r\n:1\r\n:2\r\n", b"_\r\n",
        b"#t\r\n", b",1.5\r\n", b"(3492890328409238509324850943850943825024385\r\n", b"=7\r\ntxt:abc\r\n",
        b"!5\r\nSYNTX\r\n", b">2\r\n+invalidate\r\n*1\r\n+k\r\n", b"|1\r\n+ttl\r\n:3\r\n$2\r\nab\r\n",
    ],
)  # fmt: skip
def test_frames_are_whole_messages_whatever_pieces_they_come_in(message: bytes) -> None:
    assert Frames().feed(message + PONG + message) == [message, PONG, message]
    bytewise = Frames()
    found = [whole for at in range(len(message)) for whole in bytewise.feed(message[at : at + 1])]
    assert found == [message]


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(BrokenFrame):
        Frames().feed(b"GET / HTTP/1.1\r\n")


def test_words_of_a_request() -> None:
    assert words(set_to("k", "a\r\n$1")) == [b"SET", b"k", b"a\r\n$1"]


async def test_it_changes_nothing_by_itself(proxy: FaultProxy, namespace: str) -> None:
    async with connected(proxy) as ends:
        big = "x" * 300_000
        assert await answer(ends, set_to(namespace, big)) == b"+OK\r\n"
        reader, writer = ends
        writer.write(PING + get(namespace) + PING)
        wanted = PONG + f"${len(big)}\r\n{big}\r\n".encode() + PONG
        assert await asyncio.wait_for(reader.readexactly(len(wanted)), 5) == wanted
    assert proxy.seen == {"SET": 1, "PING": 2, "GET": 1} and not proxy.cut


@pytest.mark.parametrize(
    ("cut", "came", "is_done"),
    [
        (Cut("before"), b"", False),
        (Cut("request", 5), b"", False),
        (Cut("request", 10**6), b"", False),
        (Cut("after"), b"", True),
        (Cut("reply", 3), b"+OK", True),
        (Cut("reply", 10**6), b"+OK\r", True),
    ],
)
async def test_a_cut_is_where_it_should_be(
    proxy: FaultProxy, namespace: str, cut: Cut, came: bytes, is_done: bool
) -> None:
    proxy.decide = only(b"SET", cut)
    async with connected(proxy) as ends:
        assert await answer(ends, PING) == PONG
        assert await answer(ends, set_to(namespace, "1")) == came
        assert await ends[0].read() == b"", "the connection ended"
    async with connected(proxy) as ends:
        assert await answer(ends, get(namespace)) == (b"$1\r\n1\r\n" if is_done else b"$-1\r\n")
    assert proxy.cut == {"SET": 1}


async def test_in_a_pipeline_what_stands_before_the_cut_passes(proxy: FaultProxy, namespace: str) -> None:
    proxy.decide = only(b"GET", Cut("reply", 1))
    async with connected(proxy) as (reader, writer):
        writer.write(PING + set_to(namespace, "1") + get(namespace) + PING)
        assert await asyncio.wait_for(reader.read(), 5) == PONG + b"+OK\r\n$"


async def test_choices_follow_from_the_seed(redis_url: str) -> None:
    async def outcome(seed: int) -> list[bytes]:
        async with FaultProxy(redis_url, seed=seed) as proxy:
            proxy.decide = some_replies(0.5)
            found: list[bytes] = []
            for _ in range(30):
                async with connected(proxy) as ends:
                    found.append(await answer(ends, PING))
            assert proxy.seen["PING"] == 30 and proxy.cut["PING"] == sum(reply != PONG for reply in found)
            return found

    first, again, other = [await outcome(seed) for seed in (1, 1, 2)]
    assert first == again != other
    assert {b"", PONG} < set(first), "some are cut before the reply, some within it"


async def test_a_black_hole_takes_everything_and_a_connection_that_fell_in_never_recovers(
    proxy: FaultProxy,
) -> None:
    async with connected(proxy) as ends, connected(proxy) as quiet:
        assert await answer(ends, PING) == PONG == await answer(quiet, PING)
        proxy.flow = BLACK_HOLE
        assert await is_silent(ends, PING)
        proxy.flow = Flow()
        assert await is_silent(ends, PING)
        assert await answer(quiet, PING) == PONG


@pytest.mark.parametrize(("way", "is_done"), [("to_server", False), ("to_client", True)])
async def test_a_hole_of_one_direction(
    proxy: FaultProxy, redis_url: str, namespace: str, way: str, is_done: bool
) -> None:
    async with connected(proxy) as ends:
        proxy.flow = Flow(swallow=(way,))  # type: ignore[arg-type]
        assert await is_silent(ends, set_to(namespace, "1"))
    proxy.flow = Flow()
    async with connected(proxy) as ends:
        assert await answer(ends, get(namespace)) == (b"$1\r\n1\r\n" if is_done else b"$-1\r\n")


async def test_what_is_held_arrives_later_even_from_one_who_left(proxy: FaultProxy, namespace: str) -> None:
    proxy.flow = Flow(hold=True)
    async with connected(proxy) as ends:
        assert await is_silent(ends, set_to(namespace, "1"))
    proxy.flow = Flow()
    async with connected(proxy) as ends, asyncio.timeout(5):
        while await answer(ends, get(namespace)) != b"$1\r\n1\r\n":
            pass


async def test_existing_connections_go_dead_and_new_ones_work(proxy: FaultProxy) -> None:
    async with connected(proxy) as ends:
        await answer(ends, PING)
        assert proxy.change_existing() == 1
        assert await is_silent(ends, PING)
        async with connected(proxy) as fresh:
            assert await answer(fresh, PING) == PONG


async def test_half_open_the_client_hears_nothing(proxy: FaultProxy) -> None:
    async with connected(proxy) as ends:
        await answer(ends, PING)
        proxy.half_open_all()
        assert await is_silent(ends, PING)


async def test_a_reset(redis_url: str) -> None:
    async with FaultProxy(redis_url) as proxy, connected(proxy) as ends:
        await answer(ends, PING)
        proxy.reset_all()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(ends[0].read(), 5)


async def test_slow_and_late(proxy: FaultProxy) -> None:
    async with connected(proxy) as ends:
        await answer(ends, PING)
        proxy.flow = Flow(lag_s=0.1)
        began = time.monotonic()
        assert await answer(ends, PING) == PONG
        assert time.monotonic() - began >= 0.2
        proxy.flow = Flow(bytes_per_s=100)
        began = time.monotonic()
        assert await answer(ends, PING) == PONG
        assert time.monotonic() - began >= 0.1, "ten bytes, a tenth of a second, the rest"
        proxy.flow = Flow()
        assert await answer(ends, PING) == PONG


async def test_a_server_that_is_away() -> None:
    async with FaultProxy("unix:///nowhere/at/all") as lost, connected(lost) as ends:
        assert await asyncio.wait_for(ends[0].read(), 5) == b""
