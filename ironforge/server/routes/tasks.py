"""Tasks: what live workers can run."""

from __future__ import annotations

from fastapi import APIRouter

from ironforge import schemas
from ironforge.server import documents
from ironforge.server.auth import Role
from ironforge.server.deps import QueueDep
from ironforge.server.documentation import about

router = APIRouter(prefix="/tasks", tags=["workers"])


@router.get("", summary="List tasks", **about(Role.VIEWER))
async def list_tasks(queue: QueueDep) -> schemas.Tasks:
    """The kinds that live workers can run, with the JSON Schema of each payload."""
    return schemas.Tasks(tasks=[documents.task(one) for one in await queue.tasks()])
