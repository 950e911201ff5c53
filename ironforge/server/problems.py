"""The one place where an error becomes a status and a document (RFC 9457)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ironforge.errors import Finding, InvalidJob, IronForgeError, StoreUnavailable, Unauthorized
from ironforge.json_pointer import token
from ironforge.server.access import AccessLog

log = logging.getLogger("ironforge.server")

RETRY_AFTER_S = 5
_SAYS = {
    "extra_forbidden": "there is no such member",
    "missing": "is required",
    "string_pattern_mismatch": "is not of the allowed form: {pattern}",
}


def problem(
    code: str,
    status: int,
    detail: str,
    *,
    errors: Sequence[Finding] = (),
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """A problem document. `members` are extensions of it."""
    document: dict[str, Any] = {
        "type": code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
    }
    if errors:
        document["errors"] = list(errors)
    # A request may carry half a surrogate pair where it is quoted; it has no place in UTF-8.
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, dict(headers or {}), "application/problem+json")


def of(error: IronForgeError) -> Response:
    """The document of a domain error. Nothing of it names Redis, a path or a token."""
    headers: dict[str, str] = {}
    if isinstance(error, StoreUnavailable):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    errors = error.errors if isinstance(error, InvalidJob) else ()
    members: dict[str, Any] = {"job_id": job_id} if (job_id := getattr(error, "job_id", None)) else {}
    if job_ids := getattr(error, "job_ids", None):
        members["job_ids"] = job_ids
    return problem(error.code, error.status, str(error), errors=errors, headers=headers, **members)


def findings(errors: Iterable[Any], *, below: int = 0) -> list[Finding]:
    """pydantic's errors with JSON pointers; `below` leaves out so many leading parts of each place."""
    found: list[Finding] = []
    for error in errors:
        detail = str(error["msg"])
        if error["type"] in _SAYS:
            detail = _SAYS[error["type"]].format(**error.get("ctx", {}))
        pointer = "".join(token(str(part)) for part in error["loc"][below:])
        found.append({"pointer": pointer, "detail": detail})
    return found


def invalid(what: str, errors: list[Finding]) -> InvalidJob:
    """What a request that breaks a rule is answered with."""
    first = errors[0]
    where = f"{first['pointer'].lstrip('/')}: " if first["pointer"] else ""
    return InvalidJob(f"{what} is not valid: {where}{first['detail']}", errors)


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Makes every error a problem document, the router's own too."""

    async def domain(_: Request, error: Exception) -> Response:
        assert isinstance(error, IronForgeError)
        return of(error)

    async def validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError | ValidationError)
        below = 1 if isinstance(error, RequestValidationError) else 0
        return of(invalid("the request", findings(error.errors(), below=below)))

    async def router(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        if status == 405:
            headers = {"Allow": ", ".join(sorted(_methods(request, routes)))}
            return problem(
                "method_not_allowed", 405, f"this path does not take {request.method}", headers=headers
            )
        detail = "there is nothing at this path; /docs lists what there is" if status == 404 else error.detail
        return problem("not_found" if status == 404 else "http_error", status, detail, headers=error.headers)

    app.add_exception_handler(IronForgeError, domain)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(ValidationError, validation)
    app.add_exception_handler(HTTPException, router)


def _methods(request: Request, routes: Sequence[BaseRoute]) -> set[str]:
    """All that the path takes: the router itself names only those of the first route that fits."""
    found: set[str] = set()
    for route in routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return found


class LastResort:
    """The outermost layer: a bug becomes a 500 that tells nothing, its traceback goes to the log. Each answer is told."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._access = AccessLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._access.answered(scope, message["status"])
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-content-type-options", b"nosniff"),
                    *(() if _has(message, b"cache-control") else ((b"cache-control", b"no-store"),)),
                ]
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception:
            log.exception("a request failed: %s %s", scope["method"], scope["path"])
            if started:
                raise
            answer = problem("internal_error", 500, "the server made a mistake; its log has the details")
            await answer(scope, receive, watched_send)


def _has(message: Message, name: bytes) -> bool:
    return any(header == name for header, _ in message.get("headers", ()))
