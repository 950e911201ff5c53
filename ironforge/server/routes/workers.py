"""Workers: who they are and what they run."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter

from ironforge import schemas
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import WorkerReading
from ironforge.server import documents
from ironforge.server.auth import Role
from ironforge.server.deps import QueueDep
from ironforge.server.documentation import about

router = APIRouter(prefix="/workers", tags=["workers"])
# Beyond so many running jobs their progress is left to `GET /jobs/{id}`.
_PROGRESS_OF = 500


@router.get("", summary="List workers", **about(Role.VIEWER))
async def list_workers(queue: QueueDep) -> schemas.Workers:
    """Every registered worker with its lease, its load and the jobs it runs; also lost ones, until they are reaped."""
    found = await queue.workers()
    now_ms = await queue.now_ms()
    progress = await _progress(queue, found)
    return schemas.Workers(workers=[documents.worker(one, now_ms, progress) for one in found])


async def _progress(queue: RedisQueue, workers: list[WorkerReading]) -> dict[str, Any]:
    ids = [job.id for worker in workers for job in worker.running][:_PROGRESS_OF]
    jobs = await queue.get_many(ids)
    return {job.id: _decoded(job.progress_json) for job in jobs if job and job.progress_json}


def _decoded(stored: bytes) -> Any:
    try:
        return json.loads(stored)
    except ValueError:
        return None
