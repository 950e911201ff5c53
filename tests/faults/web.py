"""The server's routes with the words of RedisQueue, so that a caller can do the same thing over HTTP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import httpx

from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue.readings import Once


class Web:
    """Every call carries an Idempotency-Key; 503 is StoreUnavailable, which the caller answers by asking again.

    Args:
        transport: of an app whose Redis is behind the proxy.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost:3000", timeout=30)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def submit(self, new: NewJob, key: str, _: str) -> tuple[Any, bool]:
        """Gives the request its job's id, as RedisQueue does."""
        answer = await self._ask("POST", "/jobs", _document(new), key)
        job = _job(answer)
        new.id = job.id
        return job, answer.status_code == 201

    async def submit_batch(self, batch: Sequence[NewJob], keys: Sequence[str]) -> list[Any]:
        """One request, in which each job has a key of its own."""
        jobs = [{**_document(new), "idempotency_key": key} for new, key in zip(batch, keys, strict=True)]
        answer = await self._ask("POST", "/jobs/batch", {"jobs": jobs}, None)
        found = answer.json()
        assert not found["errors"], found["errors"]
        for new, job_id in zip(batch, found["ids"], strict=True):
            new.id = job_id
        return [SimpleNamespace(id=job_id) for job_id in found["ids"]]

    async def retry(self, job_id: str, *, reset_retry_count: bool, once: Once) -> Any:
        body = {"reset_retry_count": reset_retry_count}
        return _job(await self._ask("POST", f"/jobs/{job_id}/retry", body, once.key))

    async def run_now(self, job_id: str, *, once: Once) -> Any:
        return _job(await self._ask("POST", f"/jobs/{job_id}/run", None, once.key))

    async def cancel(self, job_id: str, *, once: Once) -> tuple[Any, str]:
        answer = await self._ask("POST", f"/jobs/{job_id}/cancel", None, once.key)
        return _job(answer), "requested" if answer.status_code == 202 else "cancelled"

    async def delete(self, job_id: str, *, once: Once) -> None:
        await self._ask("DELETE", f"/jobs/{job_id}", None, once.key)

    async def _ask(self, method: str, path: str, body: object, key: str | None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        answer = await self._client.request(method, path, json=body, headers=headers)
        if answer.status_code == 503:
            raise StoreUnavailable(answer.text)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer


def _document(new: NewJob) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": new.kind,
        "payload": json.loads(new.payload_json),
        "queue": new.queue,
        "priority": new.priority.value,
        "max_retries": new.max_retries,
    }
    if new.delay_ms is not None:
        found["delay_s"] = new.delay_ms / 1000
    if new.retention_ms is not None:
        found["retention_s"] = new.retention_ms / 1000
    return found


def _job(answer: httpx.Response) -> Any:
    return SimpleNamespace(**answer.json())
