"""The HTTP client of the commands: synchronous, and every failure a sentence."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from ironforge.config import Settings
from ironforge.errors import IronForgeError


class ServerAway(IronForgeError):
    """The server does not answer; commands exit 3."""

    code = "server_unreachable"


class Refused(IronForgeError):
    """The server answered with a problem document."""

    code = "refused"

    def __init__(self, problem: dict[str, Any], status_code: int) -> None:
        words = str(problem.get("detail") or problem.get("title") or f"the server answered {status_code}")
        findings = [f"{found['pointer']}: {found['detail']}" for found in problem.get("errors") or []]
        super().__init__("; ".join([words, *(found for found in findings if found not in words)]))
        self.problem, self.status_code = problem, status_code


class Client:
    """Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.server_url
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        self._http = httpx.Client(
            base_url=self._url, headers=headers, timeout=httpx.Timeout(30.0, connect=5.0)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._ask(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        )

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> dict[str, Any]:
        more: dict[str, Any] = {} if body is None else {"json": body}
        if key:
            more["headers"] = {"Idempotency-Key": key}
        return self._ask("POST", path, **more)

    def post_bytes(self, path: str, body: bytes) -> dict[str, Any]:
        return self._ask("POST", path, content=body, headers={"Content-Type": "application/json"})

    def delete(self, path: str) -> None:
        self._ask("DELETE", path)

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.TimeoutException:
            raise ServerAway(f"the server at {self._url} does not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise ServerAway(
                f"no server answers at {self._url}. Start one with 'ironforge server', or set IRONFORGE_URL"
            ) from None
        if answer.status_code == 204:
            return {}
        try:
            document: dict[str, Any] = answer.json()
        except ValueError:
            raise ServerAway(
                f"what answers at {self._url} is not IronForge (status {answer.status_code})"
            ) from None
        if answer.is_success:
            return document
        if answer.status_code == 503:
            raise ServerAway(
                f"the server at {self._url} cannot reach its Redis: {document.get('detail', '')}"
            )
        raise Refused(document, answer.status_code)
