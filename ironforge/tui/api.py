"""The console's HTTP client: one method per call. Every change carries an Idempotency-Key made when the key was pressed."""

from __future__ import annotations

import secrets
from typing import Any, cast
from urllib.parse import quote

import httpx

from ironforge.tui.doc import Doc, read_json


class ApiError(Exception):
    """What the server answered instead, in words; `status` 0 when it did not answer: it may have happened all the same."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.status = status


class Api:
    """`requests` counts what was asked."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.client = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=httpx.Timeout(6.0, connect=3.0), trust_env=False
        )
        self.requests = 0

    async def close(self) -> None:
        await self.client.aclose()

    async def jobs(self, cursor: str | None = None, limit: int = 200, **wanted: str | None) -> dict[str, Any]:
        """A page of jobs; `wanted` are the filters of GET /jobs. `jobs` is a list whatever was answered."""
        query = {name: value for name, value in wanted.items() if value}
        if cursor:
            query["cursor"] = cursor
        page = await self._ask("GET", "/jobs", params={**query, "limit": str(limit)})
        return {**page, "jobs": [job.raw for job in Doc(page).docs("jobs")]}

    async def job(self, job_id: str) -> dict[str, Any]:
        return await self._ask("GET", f"/jobs/{quote(job_id, safe='')}")

    async def groups(self, limit: int = 200) -> list[object]:
        page = await self._ask("GET", "/dlq/groups", params={"limit": str(limit)})
        return [group.raw for group in Doc(page).docs("groups")]

    async def workers(self) -> list[object]:
        return [worker.raw for worker in Doc(await self._ask("GET", "/workers")).docs("workers")]

    async def tasks(self) -> list[dict[str, Any]]:
        return [dict(task.raw) for task in Doc(await self._ask("GET", "/tasks")).docs("tasks")]

    async def snapshot(self) -> tuple[object, object]:
        """Totals and queues by plain requests, for when no stream gets through."""
        soon = httpx.Timeout(2.0)
        stats = await self._ask("GET", "/queues/stats", timeout=soon)
        return stats, (await self._ask("GET", "/queues", timeout=soon)).get("queues")

    async def retry(self, job_id: str, key: str) -> dict[str, Any]:
        return await self._change("POST", f"/jobs/{quote(job_id, safe='')}/retry", key, {})

    async def run_now(self, job_id: str, key: str) -> dict[str, Any]:
        return await self._change("POST", f"/jobs/{quote(job_id, safe='')}/run", key)

    async def cancel(self, job_id: str, key: str) -> dict[str, Any]:
        return await self._change("POST", f"/jobs/{quote(job_id, safe='')}/cancel", key)

    async def delete(self, job_id: str, key: str) -> dict[str, Any]:
        return await self._change("DELETE", f"/jobs/{quote(job_id, safe='')}", key)

    async def pause(self, queue: str, key: str, *, resume: bool) -> dict[str, Any]:
        return await self._change(
            "POST", f"/queues/{quote(queue, safe='')}/{'resume' if resume else 'pause'}", key
        )

    async def submit(self, job: dict[str, Any], key: str) -> dict[str, Any]:
        return await self._change("POST", "/jobs", key, job)

    async def _change(
        self, method: str, path: str, key: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        more: dict[str, Any] = {} if body is None else {"json": body}
        return await self._ask(method, path, headers={"Idempotency-Key": key}, **more)

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        self.requests += 1
        try:
            answer = await self.client.request(method, path, **more)
        except httpx.TimeoutException:
            raise ApiError("no answer in time; whether it happened is unknown") from None
        except httpx.HTTPError as error:
            raise ApiError(f"the server cannot be reached ({type(error).__name__})") from None
        if answer.status_code == 204:
            return {}
        try:
            document: object = read_json(answer.content)
        except (ValueError, RecursionError):
            raise ApiError(
                f"the server answered {answer.status_code} with something that is not JSON",
                answer.status_code,
            ) from None
        found = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
        if answer.is_success:
            return found
        doc = Doc(found)
        raise ApiError(
            doc.text("detail") or doc.text("title") or f"answer {answer.status_code}", answer.status_code
        )


def new_key() -> str:
    """An Idempotency-Key."""
    return f"console-{secrets.token_hex(12)}"
