"""What routes ask for: the queue, the body, the Idempotency-Key."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Header, Path, Request

from ironforge.errors import JobNotFound, QueueNotFound
from ironforge.forge import Forge
from ironforge.job import ID_PATTERN, NAME_PATTERN
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import NEVER, Once
from ironforge.requests import MAX_KEY_CHARS
from ironforge.server.live import Live
from ironforge.server.overview import Overviews


async def _queue(request: Request) -> RedisQueue:
    forge: Forge = request.app.state.forge
    return await forge.connect(check=False)


def _live(request: Request) -> Live:
    live: Live = request.app.state.live
    return live


def _overviews(request: Request) -> Overviews:
    overviews: Overviews = request.app.state.overviews
    return overviews


async def _once(request: Request, key: IdempotencyKey = None) -> Once:
    """The key with a hash of everything that makes this request what it is."""
    if key is None:
        return NEVER
    what = f"{request.method} {request.url.path}\n".encode() + await request.body()
    return Once(key, sha256(what).hexdigest()[:32])


def job_id(
    job_id: Annotated[
        str, Path(description="The job's id, a UUID.", examples=["019ab1c2-6d1f-7000-8a2b-3c4d5e6f7081"])
    ],
) -> str:
    """Raises JobNotFound for what cannot be an id."""
    found = job_id.lower()
    if not ID_PATTERN.fullmatch(found):
        raise JobNotFound(found[:64])
    return found


def queue_name(name: Annotated[str, Path(description="The queue's name.", examples=["default"])]) -> str:
    if not NAME_PATTERN.fullmatch(name):
        raise QueueNotFound(name[:64])
    return name


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same key and request have their effect once within 24 h.",
        min_length=1,
        max_length=MAX_KEY_CHARS,
        pattern="^[!-~]*$",
    ),
]
QueueDep = Annotated[RedisQueue, Depends(_queue)]
LiveDep = Annotated[Live, Depends(_live)]
OverviewsDep = Annotated[Overviews, Depends(_overviews)]
OnceDep = Annotated[Once, Depends(_once)]
JobId = Annotated[str, Depends(job_id)]
QueueName = Annotated[str, Depends(queue_name)]
