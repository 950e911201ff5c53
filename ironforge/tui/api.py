"""The console's HTTP client: one method per call. Every change carries an Idempotency-Key made when the key was pressed."""

from __future__ import annotations

import json
import secrets
from typing import Any

import httpx


class ApiError(Exception):
    """What the server answered instead, in words; `status` 0 when it did not answer."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.status = status


class Api:
    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.client = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=httpx.Timeout(6.0, connect=3.0)
        )

    async def close(self) -> None:
        await self.client.aclose()

    async def jobs(self, cursor: str | None = None, limit: int = 200, **wanted: str | None) -> dict[str, Any]:
        """A page of jobs; `wanted` are the filters of GET /jobs."""
        query = {name: value for name, value in wanted.items() if value}
        if cursor:
            query["cursor"] = cursor
        return await self._ask("GET", "/jobs", params={**query, "limit": str(limit)})

    async def job(self, job_id: str) -> dict[str, Any]:
        return await self._ask("GET", f"/jobs/{job_id}")

    async def groups(self) -> list[dict[str, Any]]:
        return (await self._ask("GET", "/dlq/groups", params={"limit": "200"}))["groups"]

    async def workers(self) -> list[dict[str, Any]]:
        return (await self._ask("GET", "/workers"))["workers"]

    async def tasks(self) -> list[dict[str, Any]]:
        return (await self._ask("GET", "/tasks"))["tasks"]

    async def snapshot(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Totals and queues by plain requests, for when no stream gets through."""
        stats = await self._ask("GET", "/queues/stats")
        return stats, (await self._ask("GET", "/queues"))["queues"]

    async def retry(self, job_id: str, key: str) -> dict[str, Any]:
        return await self._change("POST", f"/jobs/{job_id}/retry", key, {})

    async def run_now(self, job_id: str, key: str) -> dict[str, Any]:
        return await self._change("POST", f"/jobs/{job_id}/run", key)

    async def cancel(self, job_id: str, key: str) -> dict[str, Any]:
        return await self._change("POST", f"/jobs/{job_id}/cancel", key)

    async def delete(self, job_id: str, key: str) -> dict[str, Any]:
        return await self._change("DELETE", f"/jobs/{job_id}", key)

    async def pause(self, queue: str, key: str, *, resume: bool) -> dict[str, Any]:
        return await self._change("POST", f"/queues/{queue}/{'resume' if resume else 'pause'}", key)

    async def submit(self, job: dict[str, Any], key: str) -> dict[str, Any]:
        return await self._change("POST", "/jobs", key, job)

    async def _change(
        self, method: str, path: str, key: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        more: dict[str, Any] = {} if body is None else {"json": body}
        return await self._ask(method, path, headers={"Idempotency-Key": key}, **more)

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            answer = await self.client.request(method, path, **more)
        except httpx.TimeoutException:
            raise ApiError("no answer in time; whether it happened is unknown") from None
        except httpx.HTTPError as error:
            raise ApiError(f"the server cannot be reached ({type(error).__name__})") from None
        if answer.status_code == 204:
            return {}
        try:
            document: dict[str, Any] = json.loads(answer.content, parse_int=_shown_int)
        except ValueError:
            raise ApiError(
                f"the server answered {answer.status_code} with something that is not JSON"
            ) from None
        if answer.is_success:
            return document
        raise ApiError(
            str(document.get("detail") or document.get("title") or answer.status_code), answer.status_code
        )


def _shown_int(digits: str) -> int | str:
    """Python reads and writes integers of at most 4,300 digits; a longer one is shown as text."""
    return int(digits) if len(digits) < 4_000 else digits


def new_key() -> str:
    """An Idempotency-Key."""
    return f"console-{secrets.token_hex(12)}"
