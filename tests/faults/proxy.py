"""A proxy in front of a Redis that breaks connections on purpose, by a seed: each fault at a chosen place of a message.

What a network does to bytes (swallow, hold, slow down) is a `Flow`; what breaks one exchange is a `Cut`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal
from urllib.parse import urlsplit

from tests.chaos.pacing import during
from tests.faults.frames import Frames, words
from tests.waiting import eventually

Direction = Literal["to_server", "to_client"]
_CHUNK = 64 * 1024
_LONGEST_S = 3600.0
_QUEUED = 16  # chunks that wait for a slow line; then the sender is not read any more


@dataclass(frozen=True, slots=True)
class Cut:
    """The end of a connection in the middle of one exchange.

    Attributes:
        where: `before` anything of the request is forwarded; `request`: only its first bytes are; `after` all of it
            was forwarded, and nothing of the reply; `reply`: only its first bytes are.
        at: so many bytes of the request or reply pass; None chooses by the seed. At least one byte is kept back.
    """

    where: Literal["before", "request", "after", "reply"]
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """How bytes travel.

    Attributes:
        swallow: directions in which they vanish. A connection that lost a byte never recovers.
        hold: they wait until the flow changes, and arrive then even if their sender is gone.
        bytes_per_s: a slow line, each way; None for no limit.
        lag_s: each chunk arrives so much later.
    """

    swallow: tuple[Direction, ...] = ()
    hold: bool = False
    bytes_per_s: float | None = None
    lag_s: float = 0.0


CLEAR = Flow()
BLACK_HOLE = Flow(swallow=("to_server", "to_client"))
Decide = Callable[[Random, list[bytes]], Cut | None]


def never(_: Random, __: list[bytes]) -> Cut | None:
    return None


def some_replies(share: float, spared: Iterable[bytes] = (b"HELLO", b"CLIENT", b"AUTH", b"SELECT")) -> Decide:
    """Cuts by chance: of so many exchanges the reply never arrives, for one of four reasons."""
    left_alone = frozenset(spared)

    def decide(rng: Random, request: list[bytes]) -> Cut | None:
        if request[0].upper() in left_alone or rng.random() >= share:
            return None
        return Cut(rng.choice(("before", "request", "after", "after", "reply", "reply")))

    return decide


class FaultProxy:
    """Listens on a unix socket in `folder`, or on a free loopback port without one. Faults can be changed at any time.

    Attributes:
        flow: of every connection that has none of its own.
        decide: says for each request (its words) whether and where its exchange is cut.
        seen, cut: requests that came, and cuts that were made, each by a name of the request.
        name_of: names a request for `seen` and `cut`.
        length_cut: bytes of the last message that was cut, had it been whole.
    """

    def __init__(self, upstream: str, folder: Path | None = None, *, seed: int = 0) -> None:
        self.flow = CLEAR
        self.decide: Decide = never
        self.name_of: Callable[[list[bytes]], str] = lambda request: request[0].decode().upper()
        self.seen: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.length_cut = 0
        self.links: list[Link] = []
        self.opened = 0
        self.url = ""
        self._upstream = urlsplit(upstream)
        self._folder = folder
        self._seed = seed
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FaultProxy:
        if self._folder:
            path = str(self._folder / "proxy.sock")
            self._server = await asyncio.start_unix_server(self._serve, path, limit=_CHUNK)
            self.url = f"unix://{path}"
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_CHUNK)
            self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def reset_all(self) -> None:
        """Every connection ends with a reset, both ways."""
        for link in list(self.links):
            link.end(reset=True)

    def change_existing(self, flow: Flow = BLACK_HOLE) -> int:
        """For connections that exist; those made from now on work. A black hole is a router that lost its memory."""
        for link in self.links:
            link.flow = flow
        return len(self.links)

    def half_open_all(self) -> None:
        """The server's end closes, and no client hears of it."""
        for link in list(self.links):
            link.half_open()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._join(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy is closed; to asyncio's server a cancelled handler would be an error
        finally:
            self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        link = Link(self, Random(f"{self._seed}/{self.opened}"), writer)
        self.links.append(link)
        try:
            if self._upstream.scheme == "unix":
                there = await asyncio.open_unix_connection(self._upstream.path, limit=_CHUNK)
            else:
                there = await asyncio.open_connection(
                    self._upstream.hostname, self._upstream.port, limit=_CHUNK
                )
            await link.run(reader, *there)
        except OSError:
            pass  # the server is away: the client is told by the end of its connection
        finally:
            self.links.remove(link)
            link.end()


class Link:
    """One connection through the proxy.

    Attributes:
        flow: its own, instead of the proxy's.
    """

    def __init__(self, proxy: FaultProxy, rng: Random, client: asyncio.StreamWriter) -> None:
        self.flow: Flow | None = None
        self._proxy = proxy
        self._rng = rng
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._dead: set[Direction] = set()
        self._requests, self._replies = Frames(), Frames()
        self._expected: deque[Cut | None] = (
            deque()
        )  # for each request under way, what is to happen to its reply

    async def run(
        self, client: asyncio.StreamReader, server: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Until one of the two ends is closed, or a fault ends it."""
        self._server = writer
        for end in (self._client, writer):
            if end.transport.is_closing():  # it was reset while the other end was opened
                return
            end.transport.set_write_buffer_limits(0)  # `drain` waits until all was sent
        ways = (
            asyncio.create_task(self._carry(client, writer, "to_server", self._cut_requests)),
            asyncio.create_task(self._carry(server, self._client, "to_client", self._cut_replies)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            # The end of a connection is a message too: where those are lost, the other end does not hear of it.
            if (ways[0].done() and "to_server" in self._dead) or (
                ways[1].done() and "to_client" in self._dead
            ):
                await asyncio.wait(ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def end(self, *, reset: bool = False) -> None:
        """Closes both ends; with a reset, as a host does that knows nothing of the connection."""
        for writer in (self._client, self._server):
            if writer is None or writer.transport.is_closing():
                continue
            if reset:
                end: socket.socket = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):  # a unix socket has no resets
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def half_open(self) -> None:
        """Closes the server's end only."""
        self._dead |= {"to_server", "to_client"}
        if self._server:
            self._server.transport.abort()

    @property
    def _flow(self) -> Flow:
        return self.flow or self._proxy.flow

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: Direction,
        pieces: Callable[[bytes], tuple[bytes, bool]],
    ) -> None:
        line: asyncio.Queue[tuple[float, bytes, bool]] = asyncio.Queue(_QUEUED)
        sending = asyncio.create_task(self._send(line, writer, way))
        try:
            while not sending.done():
                data = await _read(reader)
                if way in self._dead or way in self._flow.swallow:
                    self._dead.add(way)
                    if not data:
                        break
                    continue
                passed, is_cut = pieces(data)
                await line.put((asyncio.get_running_loop().time(), passed, is_cut or not data))
                if is_cut or not data:
                    break
            else:
                return
            if way not in self._dead:
                await sending
        finally:
            sending.cancel()

    async def _send(
        self, line: asyncio.Queue[tuple[float, bytes, bool]], writer: asyncio.StreamWriter, way: Direction
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            came, data, is_last = await line.get()
            await eventually(
                lambda came=came: not self._flow.hold and loop.time() >= came + self._flow.lag_s, _LONGEST_S
            )
            while data and way not in self._dead:
                if way in self._flow.swallow:
                    self._dead.add(way)
                    break
                rate = self._flow.bytes_per_s
                piece = data if rate is None else data[: max(1, int(rate / 10))]
                data = data[len(piece) :]
                try:
                    writer.write(piece)
                    await writer.drain()
                except (OSError, RuntimeError):  # uvloop's word for a closed connection
                    return
                if rate is not None:
                    await during(len(piece) / rate)
            if is_last:
                return

    def _cut_requests(self, data: bytes) -> tuple[bytes, bool]:
        """What of this may pass, and whether the connection then ends."""
        proxy = self._proxy
        passed = bytearray()
        for request in self._requests.feed(data):
            said = words(request)
            name = proxy.name_of(said)
            proxy.seen[name] += 1
            cut = proxy.decide(self._rng, said)
            if cut and cut.where in ("before", "request"):
                proxy.cut[name] += 1
                kept = 0 if cut.where == "before" else self._place(cut, len(request))
                return bytes(passed + request[:kept]), True
            if cut:
                cut = replace(cut, at=0 if cut.where == "after" else cut.at)
                proxy.cut[name] += 1
            self._expected.append(cut)
            passed += request
        return bytes(passed), False

    def _cut_replies(self, data: bytes) -> tuple[bytes, bool]:
        passed = bytearray()
        for reply in self._replies.feed(data):
            cut = self._expected.popleft() if self._expected and reply[:1] != b">" else None
            if cut:
                return bytes(passed + reply[: self._place(cut, len(reply))]), True
            passed += reply
        return bytes(passed), False

    def _place(self, cut: Cut, length: int) -> int:
        self._proxy.length_cut = length
        return self._rng.randrange(1, length) if cut.at is None else min(cut.at, length - 1)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(_CHUNK)
    except OSError:
        return b""
