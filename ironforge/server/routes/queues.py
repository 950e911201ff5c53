"""Queues: how they are, pause and resume."""

from __future__ import annotations

from fastapi import APIRouter

from ironforge import schemas
from ironforge.server.auth import Role
from ironforge.server.deps import OnceDep, OverviewsDep, QueueDep, QueueName
from ironforge.server.documentation import about
from ironforge.server.overview import queue_document

router = APIRouter(prefix="/queues", tags=["queues"])


@router.get("", summary="List queues", **about(Role.VIEWER))
async def list_queues(queue: QueueDep, overviews: OverviewsDep) -> schemas.Queues:
    """Every queue that was ever used, by name, with its counts and its rates over the last minute."""
    return schemas.Queues(queues=(await overviews.read(queue)).overview.queues)


@router.get("/stats", summary="Statistics of all queues", **about(Role.VIEWER))
async def stats(queue: QueueDep, overviews: OverviewsDep) -> schemas.Stats:
    """The sum over all queues, and what needs a person."""
    return (await overviews.read(queue)).overview.stats


@router.post("/{name}/pause", summary="Pause a queue", **about(Role.OPERATOR, 404, 409, 422))
async def pause(name: QueueName, queue: QueueDep, once: OnceDep) -> schemas.Queue:
    """It hands out nothing until it is resumed. What runs goes on, and jobs are still accepted."""
    await queue.pause(name, once=once)
    return await queue_document(queue, name)


@router.post("/{name}/resume", summary="Resume a queue", **about(Role.OPERATOR, 404, 409, 422))
async def resume(name: QueueName, queue: QueueDep, once: OnceDep) -> schemas.Queue:
    """It hands out jobs again."""
    await queue.resume(name, once=once)
    return await queue_document(queue, name)
