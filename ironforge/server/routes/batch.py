"""Many jobs in one request."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from ironforge.json_exact import read_batch
from ironforge.requests import MAX_BATCH, BatchIn
from ironforge.schemas import BatchOut
from ironforge.server.auth import Role
from ironforge.server.batching import submit_batch
from ironforge.server.deps import IdempotencyKey, QueueDep
from ironforge.server.documentation import about
from ironforge.server.submitting import checked

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.post(
    "/batch",
    status_code=201,
    summary="Submit many jobs",
    response_description="For each job its id, or why it was refused.",
    **about(Role.SUBMITTER, 409, 410, body=BatchIn),
)
async def submit(request: Request, queue: QueueDep, key: IdempotencyKey = None) -> BatchOut:
    """Accepts up to 10,000 jobs in their order. The good ones are accepted even if others are refused.

    Each job may carry an `idempotency_key`; the header's counts for those that have none.
    """
    body = await request.body()
    # A large body takes 0.1 s to read: in a thread it does not hold up the others.
    members, elements = await asyncio.to_thread(read_batch, body, "jobs", max_elements=MAX_BATCH)
    values = members.values
    checked(BatchIn, {**values, "jobs": []} if isinstance(values.get("jobs"), list) else values, "the batch")
    return await submit_batch(queue, elements, key or "", body)
