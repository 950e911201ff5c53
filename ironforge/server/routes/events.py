"""The live stream, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from ironforge.errors import InvalidJob
from ironforge.job import ID_PATTERN
from ironforge.server.auth import Role, role_of
from ironforge.server.deps import LiveDep
from ironforge.server.documentation import about
from ironforge.server.live import MAX_WATCHED, Live

router = APIRouter(tags=["live"])


@router.get(
    "/events",
    summary="Follow what happens",
    response_class=StreamingResponse,
    response_description="An endless stream of text/event-stream.",
    **about(Role.VIEWER, 422),
)
async def events(
    request: Request,
    live: LiveDep,
    watch: Annotated[
        str, Query(max_length=MAX_WATCHED * 37, description="Up to 200 job ids, separated by commas.")
    ] = "",
) -> StreamingResponse:
    """Server-sent events; the data of each is JSON with a `seq` that grows by one.

    - `hello`: the server and its Redis. It comes first, and again whenever the stream lost something: begin anew.
    - `stats`: statistics, queues, charts and worker counts, at most four times a second.
    - `changed`: the lists of a queue are not what they were.
    - `job`: a watched job as it is now, or null when it is gone.
    - `hb`: every second, with `redis` ok or away. While Redis is away the stream stays open.
    """
    watched = _ids(watch)
    stream = _stream(live, role_of(request), watched)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(live: Live, role: Role, watched: list[str]) -> AsyncIterator[bytes]:
    with live.listen(role, watched) as listener:
        async for event in listener.events(live.epoch):
            yield event


def _ids(watch: str) -> list[str]:
    ids = [one.strip().lower() for one in watch.split(",") if one.strip()]
    wrong = [one for one in ids if not ID_PATTERN.fullmatch(one)]
    if wrong or len(ids) > MAX_WATCHED:
        detail = f"{wrong[0]!r} is not a job id" if wrong else f"at most {MAX_WATCHED} ids"
        raise InvalidJob(f"watch is not valid: {detail}", [{"pointer": "/watch", "detail": detail}])
    return ids
