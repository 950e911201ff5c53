"""The live stream: one poller however many listen, and only while somebody does.

Each listener has a queue of at most 64 events and its own sequence. One that reads too slowly loses what is in its
queue and is told to begin anew by another `hello`: a slow console never holds memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Any

from ironforge import __version__
from ironforge.errors import StoreUnavailable
from ironforge.forge import Forge
from ironforge.job import Job
from ironforge.job_json import job_json
from ironforge.queue.backend import RedisQueue
from ironforge.schemas import instant_text
from ironforge.server.auth import Role
from ironforge.server.overview import Look, Overviews

log = logging.getLogger("ironforge.server")

API = 1
MAX_WATCHED = 200
MAX_PENDING = 64
POLL_S = 0.25
BEAT_S = 1.0
# A poll that takes longer means that Redis does not answer.
_POLL_TIMEOUT_S = 1.5
# Text that clients which split lines as Python does would take for the end of one.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class Listener:
    """One open stream: what it has not read yet, and the jobs it watches."""

    def __init__(self, role: Role, watched: Iterable[str]) -> None:
        self.role = role
        self.watched = frozenset(watched)
        self.behind = True  # wants hello and a snapshot
        self._seq = -1
        self._pending: deque[tuple[str, int, bytes]] = deque()
        self._filled = asyncio.Event()
        self._closed = False

    def offer(self, event: str, members: bytes) -> None:
        """Puts an event in its queue. `members` is its JSON object without the opening brace."""
        if self.behind and event != "hello":
            return
        self._seq += 1
        if event == "hello":
            self.behind = False
        elif len(self._pending) >= MAX_PENDING:
            self._pending.clear()
            self.behind = True
            return
        self._pending.append((event, self._seq, members))
        self._filled.set()

    def close(self) -> None:
        self._closed = True
        self._filled.set()

    async def events(self, epoch: str) -> AsyncIterator[bytes]:
        """Encoded events until the server closes the stream."""
        while not self._closed:
            await self._filled.wait()
            self._filled.clear()
            while self._pending and not self._closed:
                yield _encoded(epoch, *self._pending.popleft())


class Live:
    """Polls the namespace at most four times a second and tells all listeners what changed."""

    def __init__(self, forge: Forge) -> None:
        self.epoch = secrets.token_hex(8)
        self._forge = forge
        self._overviews = Overviews()
        self._listeners: set[Listener] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        """Nothing is known of the namespace: before the first poll, and after an outage."""
        self._hello: dict[str, Any] | None = None
        self._document = b""
        self._sent_at = 0.0
        self._versions: dict[str, int] = {}
        self._jobs: dict[str, bytes] = {}
        self._watch_again_at = 0.0
        self._away = False

    @property
    def listening(self) -> int:
        return len(self._listeners)

    @property
    def polling(self) -> bool:
        return bool(self._tasks)

    @contextmanager
    def listen(self, role: Role, watched: Iterable[str] = ()) -> Generator[Listener]:
        """A listener for the time of one stream; the poller runs while there is one."""
        listener = Listener(role, watched)
        if self._closed:
            listener.close()
        self._listeners.add(listener)
        if not self._tasks:
            self._forget()
            self._tasks = [asyncio.create_task(self._run(step, pause_s)) for step, pause_s in self._loops()]
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                self._stop_polling()

    def close(self) -> None:
        """Ends all streams; a shutdown does not wait for them."""
        self._closed = True
        for listener in self._listeners:
            listener.close()
        self._stop_polling()

    def _stop_polling(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def _loops(self) -> list[tuple[Callable[[], Awaitable[None]], float]]:
        return [(self._poll, POLL_S), (self._beat, BEAT_S)]

    async def _run(self, step: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while True:
            began = time.monotonic()
            try:
                await step()
            except Exception:
                log.exception("the live stream stumbled; it goes on")
            await asyncio.sleep(max(pause_s / 4, pause_s - (time.monotonic() - began)))

    async def _beat(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        self._tell("hb", {"now": instant_text(now_ms), "redis": "away" if self._away else "ok"})

    async def _poll(self) -> None:
        try:
            async with asyncio.timeout(_POLL_TIMEOUT_S):
                queue = await self._forge.connect(check=False)
                look = await self._overviews.read(queue, fresh=False)
                hello = await self._greeting(queue)
                jobs = await self._changed_jobs(queue, look)
        except (StoreUnavailable, TimeoutError):
            self._lose()
            return
        if self._away:
            self._forget()
            for listener in self._listeners:
                listener.behind = True
        self._hello = hello
        self._tell_changes(look)
        for job_id, found in jobs.items():
            self._tell_job(job_id, found)
        self._greet(look)
        self._versions = look.versions

    def _lose(self) -> None:
        """Redis is away: who came meanwhile is greeted all the same, with what is known."""
        self._away = True
        self._overviews.forget()
        if self._hello is None:
            self._hello = self._about(redis="", durability="unknown")
        for listener in self._listeners:
            if listener.behind:
                self._send_hello(listener, time.time_ns() // 1_000_000)

    async def _greeting(self, queue: RedisQueue) -> dict[str, Any]:
        health = await self._overviews.health(queue)
        return self._about(redis=health.server, durability=health.durability)

    def _about(self, *, redis: str, durability: str) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "server": f"ironforge {__version__}",
            "api": API,
            "namespace": self._forge.settings.namespace,
            "redis": redis,
            "durability": durability,
        }

    def _send_hello(self, listener: Listener, now_ms: int) -> None:
        about = {**(self._hello or {}), "role": listener.role.label, "now": instant_text(now_ms)}
        listener.offer("hello", _members(about))

    def _greet(self, look: Look) -> None:
        """Listeners that are new or lost something get hello and a whole snapshot."""
        document = look.overview.model_dump_json().encode()[1:]
        for listener in self._listeners:
            if listener.behind:
                now = look.overview.now
                self._send_hello(listener, round(now.timestamp() * 1000) if now else 0)
                listener.offer("stats", document)
                for job_id in listener.watched & self._jobs.keys():
                    listener.offer("job", self._jobs[job_id])

    def _tell_changes(self, look: Look) -> None:
        document = look.overview.model_dump_json(exclude={"now", "redis_ms"}).encode()
        if document != self._document or time.monotonic() - self._sent_at >= BEAT_S - POLL_S / 2:
            self._document, self._sent_at = document, time.monotonic()
            self._offer_all("stats", look.overview.model_dump_json().encode()[1:])
        for name, version in look.versions.items():
            if self._versions and self._versions.get(name) != version:
                self._tell("changed", {"queue": name, "version": version})

    async def _changed_jobs(self, queue: RedisQueue, look: Look) -> dict[str, bytes]:
        """Watched jobs that are not as they were told last: all are read when a list changed, else each second."""
        watched = {job_id for listener in self._listeners for job_id in listener.watched}
        self._jobs = {job_id: told for job_id, told in self._jobs.items() if job_id in watched}
        unknown = watched - self._jobs.keys()
        now = time.monotonic()
        if not watched or (not unknown and look.versions == self._versions and now < self._watch_again_at):
            return {}
        self._watch_again_at = now + BEAT_S
        wanted = sorted(watched)
        found = await queue.get_many(wanted)
        told = {job_id: _job_members(job_id, job) for job_id, job in zip(wanted, found, strict=True)}
        return {job_id: members for job_id, members in told.items() if self._jobs.get(job_id) != members}

    def _tell_job(self, job_id: str, members: bytes) -> None:
        self._jobs[job_id] = members
        for listener in self._listeners:
            if job_id in listener.watched:
                listener.offer("job", members)

    def _tell(self, event: str, members: dict[str, Any]) -> None:
        self._offer_all(event, _members(members))

    def _offer_all(self, event: str, members: bytes) -> None:
        for listener in self._listeners:
            listener.offer(event, members)


def _members(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()[1:]


def _job_members(job_id: str, job: Job | None) -> bytes:
    if job is None:
        return _members({"job": None, "id": job_id})
    return b'"job":' + job_json(job) + b"}"


def _encoded(epoch: str, event: str, seq: int, members: bytes) -> bytes:
    """One event on the wire. A payload may hold line ends between its members: each begins a `data:` line of its own."""
    data = f'{{"seq":{seq},'.encode() + members
    with suppress(UnicodeDecodeError):
        if not data.isascii():
            data = data.decode().translate(_LINE_ENDS).encode()
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    body = b"".join(b"data: " + line + b"\n" for line in lines)
    return f"event: {event}\nid: {epoch}:{seq}\n".encode() + body + b"\n"
