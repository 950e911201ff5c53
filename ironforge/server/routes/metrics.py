"""Metrics of the whole namespace, for Prometheus."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from ironforge import metrics
from ironforge.server.auth import Role
from ironforge.server.deps import QueueDep
from ironforge.server.documentation import about

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    summary="Metrics for Prometheus",
    response_description="Prometheus text.",
    **about(Role.VIEWER),
)
async def read_metrics(queue: QueueDep) -> Response:
    """Counters, gauges and histograms of the whole namespace, whichever process did the work; read from Redis."""
    stats, queues, workers = await asyncio.gather(queue.read_stats(), queue.read_queues(), queue.workers())
    body = await asyncio.to_thread(metrics.render, stats, queues, workers)
    return Response(body, headers={"Content-Type": metrics.CONTENT_TYPE})
