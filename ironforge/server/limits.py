"""What a request may cost: only JSON, only so many bytes, counted while they come, and only so long."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ironforge.errors import IronForgeError, NotJson, PayloadTooLarge, StoreUnavailable
from ironforge.server import problems

MAX_BODY = 256 * 1024
MAX_BATCH_BODY = 8 * 1024 * 1024
BODY_TIMEOUT_S = 30.0
# Redis away or silent must be told within 5 s.
ANSWER_TIMEOUT_S = 4.5
_UNTIMED = ("/events", "/jobs/batch")


class Bodies:
    """Reads the whole body before the app sees the request, or refuses it without reading on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_BATCH_BODY if scope["path"].endswith("/jobs/batch") else MAX_BODY
        try:
            body = await _read(scope, receive, limit)
        except (PayloadTooLarge, NotJson) as error:
            await _refuse(problems.of(error), scope, receive, send)
            return
        except TimeoutError:
            late = problems.problem(
                "request_timeout", 408, f"the body did not come within {BODY_TIMEOUT_S:g} s"
            )
            await _refuse(late, scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replay(body, receive), send)


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The body; None when the client went away. Raises PayloadTooLarge, NotJson, TimeoutError."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    length = int(headers.get(b"content-length", b"0"))
    if length or b"transfer-encoding" in headers:
        _check_type(headers)
    if length > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async with asyncio.timeout(BODY_TIMEOUT_S):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            if chunk := message.get("body", b""):
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
            if not message.get("more_body"):
                return b"".join(chunks)


def _check_type(headers: dict[bytes, bytes]) -> None:
    media, _, parameters = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    if media.strip() != "application/json" or charset not in ("", "charset=utf-8"):
        raise NotJson("only bodies of Content-Type application/json, in UTF-8, are read")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise NotJson("compressed bodies are not read")


def _too_large(limit: int) -> IronForgeError:
    return PayloadTooLarge(f"the body is larger than {limit // 1024:,} KiB")


async def _refuse(response: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers, and has the connection closed: what follows of this body is not waited for."""

    async def closing_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    await response(scope, receive, closing_send)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()  # only a disconnect can follow
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


class Deadline:
    """Answers 503 when Redis keeps a request waiting; a stream and a large batch look after themselves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(_UNTIMED):
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._app(scope, receive, watched_send)
        except TimeoutError:
            if started:
                raise
            await problems.of(StoreUnavailable("Redis does not answer in time"))(scope, receive, send)
