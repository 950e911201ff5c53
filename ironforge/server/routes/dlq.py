"""The dead letter queue: dead jobs grouped by what killed them. They themselves are `GET /jobs?status=dead`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ironforge import schemas
from ironforge.server import documents
from ironforge.server.auth import Role
from ironforge.server.deps import QueueDep
from ironforge.server.documentation import about

router = APIRouter(prefix="/dlq", tags=["dead letters"])


@router.get("/groups", summary="Group dead jobs by error", **about(Role.VIEWER, 422))
async def groups(
    queue: QueueDep,
    cursor: Annotated[str | None, Query(max_length=20, pattern="^[0-9]{1,20}$")] = None,
    limit: Annotated[int, Query(ge=1, le=schemas.MAX_PAGE)] = 50,
) -> schemas.Groups:
    """Dead jobs by kind and error fingerprint, largest group first; `GET /jobs?error=…` lists the jobs of one."""
    found, next_cursor, total = await queue.dead_groups(cursor, limit)
    return schemas.Groups(
        groups=[documents.group(one) for one in found], next_cursor=next_cursor, total=total
    )
