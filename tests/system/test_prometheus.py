"""A real Prometheus scrapes a real server: the queries of the contract give numbers, and they are the right ones."""

from __future__ import annotations

import asyncio
import math
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.needs import needs
from tests.queue.state import ERROR, Lane
from tests.server.conftest import Served
from tests.waiting import eventually

pytestmark = needs("prometheus")

FAILING = "sum(rate(ironforge_jobs_failed_total[1m])) / sum(rate(ironforge_jobs_submitted_total[1m]))"
P99 = "histogram_quantile(0.99, sum by (le, kind) (rate(ironforge_job_duration_seconds_bucket[5m])))"


@pytest.fixture
async def served(redis_url: str, namespace: str) -> AsyncIterator[Served]:
    forge = Forge(settings=Settings(redis_url=redis_url, namespace=namespace))
    served = Served(forge)
    yield served
    await served.stop()
    await forge.aclose()


@pytest.fixture
async def prometheus(served: Served, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Its API, once it is ready."""
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n"
        f"scrape_configs: [{{job_name: ironforge, static_configs: [{{targets: ['127.0.0.1:{served.port}']}}]}}]\n"
    )
    port = _free_port()
    command = [
        shutil.which("prometheus") or "prometheus", f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await eventually(lambda: _is_ready(client), 15, "Prometheus is ready")
            yield client
    finally:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def _query(client: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    answer = (await client.get("/api/v1/query", params={"query": query})).json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


async def _number(client: httpx.AsyncClient, query: str, at_least: float = 0.0) -> float | None:
    """The single value, once it is a finite number of that size."""
    found = await _query(client, query)
    value = float(found[0]["value"][1]) if len(found) == 1 else math.nan
    return value if math.isfinite(value) and value >= at_least else None


async def test_the_contracts_queries_give_numbers(
    prometheus: httpx.AsyncClient, queue: RedisQueue, namespace: str
) -> None:
    lane = await Lane(queue).register()
    rounds = 0

    async def work() -> None:
        """One job completes, one fails and waits for its retry, one waits."""
        nonlocal rounds
        rounds += 1
        await queue.enqueue_many([NewJob("mail"), NewJob("sms"), NewJob("later", queue="other")])
        done, failed = await lane.claim(2)
        await lane.settle(done, "completed")
        await lane.settle(failed, "retry", error_json=ERROR, delay_ms=600_000, fingerprint="f")

    async def scraped(query: str) -> float | None:
        await work()
        return await _number(prometheus, query, 1e-9)

    # Counters are seen to grow once they were scraped before, so the work goes on until the rates are there.
    failing = await eventually(lambda: scraped(FAILING), 20, "the failure rate is a number")
    assert failing and 0.2 < failing < 0.5, "of three jobs one fails"
    quantiles = {
        one["metric"]["kind"]: float(one["value"][1])
        for one in await eventually(lambda: _query(prometheus, P99), 10)
    }
    assert set(quantiles) >= {"mail", "sms"} and all(0 < value < 5 for value in quantiles.values())
    depth = 'ironforge_queue_depth{queue="other"}'
    assert await eventually(
        lambda: _number(prometheus, depth, rounds), 5, "the last scrape sees all that wait"
    )
    ended = 'sum(ironforge_job_duration_seconds_count{status="completed"})'
    # One scrape may fall between a round's submits and its ends; the next one sees all.
    assert await eventually(lambda: _number(prometheus, ended, rounds), 5, "the last scrape sees all ends")
    assert await _number(prometheus, ended) == rounds
    assert await _number(prometheus, "sum(ironforge_job_wait_time_seconds_count)") == 2 * rounds
    assert await _number(prometheus, "up") == 1
