"""Whether the server is well. For load balancers and people."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from ironforge import __version__, schemas
from ironforge.errors import StoreUnavailable
from ironforge.queue.durability import concerns
from ironforge.server import problems
from ironforge.server.auth import Role, role_of
from ironforge.server.deps import QueueDep
from ironforge.server.documentation import about

router = APIRouter(prefix="/health", tags=["health"])


@router.get(
    "",
    summary="Whether all is well",
    response_model=schemas.Health,
    response_model_exclude_none=True,
    **about(Role.NOBODY),
)
async def health(request: Request, queue: QueueDep) -> schemas.Health | Response:
    """Whether server and Redis are well. What Redis is, is told to those who may see more."""
    try:
        found = await queue.health()
    except StoreUnavailable as away:
        headers = {"Retry-After": str(problems.RETRY_AFTER_S)}
        return problems.problem(
            away.code,
            away.status,
            str(away),
            headers=headers,
            version=__version__,
            health="unavailable",
        )
    if role_of(request) < Role.VIEWER:
        return schemas.Health(status="ok", version=__version__)
    return schemas.Health(
        status="ok",
        version=__version__,
        redis=schemas.RedisHealth(server=found.server, latency_ms=round(found.latency_ms, 2)),
        durability=found.durability,
        persistence=found.persistence,
        replicas=found.replicas,
        warnings=[one.message for one in concerns(found, time.time_ns() // 1_000_000)],
        namespace=queue.namespace,
    )


@router.get("/live", summary="Whether the process runs", **about(Role.NOBODY))
async def live() -> schemas.Live:
    """Says only that the process runs."""
    return schemas.Live(status="alive", version=__version__)
