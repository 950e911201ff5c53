"""What the API's description says beyond the routes' own words: bodies, answers and problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ironforge.requests import BatchIn, JobIn, RetryIn
from ironforge.schemas import Problem
from ironforge.server.auth import ROLE_MEMBER, Role, needs

INTRODUCTION = """\
Every call takes and gives JSON. What goes wrong is told as a problem document (RFC 9457): `type` is a stable code,
`detail` is for people, `errors` holds JSON pointers to what is wrong in the request.

With `IRONFORGE_TOKEN` set where the server runs, every call but the health checks needs `Authorization: Bearer` and
that token. Each call names the role it needs: viewer, submitter, operator or admin, each of which may do what those
before it may.

Calls that change something take an `Idempotency-Key`: the same key and request have their effect once within 24 h.
Instants are RFC 3339 in UTC by the clock of Redis, durations are seconds.
"""
TAGS = [
    {"name": "jobs", "description": "Submit, read, list, retry, cancel and delete jobs."},
    {"name": "queues", "description": "How queues are; pause and resume."},
    {"name": "dead letters", "description": "Jobs that are out of attempts, grouped by what killed them."},
    {"name": "workers", "description": "Who works, on what, and what they can run."},
    {"name": "live", "description": "What happens, as it happens."},
    {"name": "health", "description": "For load balancers and Prometheus."},
]
_MODELS = (JobIn, BatchIn, RetryIn, Problem)
_MEANINGS = {
    401: "No token, or an unknown one.",
    403: "The role does not allow it, or the request came from elsewhere.",
    404: "There is no such thing.",
    409: "Not in a state that allows it, or the Idempotency-Key stands for another request.",
    410: "The job of that Idempotency-Key was removed since.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The request breaks a rule; `errors` points to each mistake.",
    503: "Redis is away; try again after `Retry-After` seconds.",
}


def about(
    role: Role,
    *problems: int,
    body: type[BaseModel] | None = None,
    body_required: bool = True,
    answers: Mapping[int, str] | None = None,
) -> Mapping[str, Any]:
    """Keyword arguments of a route.

    Args:
        role: the least role it is for.
        problems: statuses it may answer with, beside 401, 403 and 503.
        body: the model of its body, which the route reads by itself.
        answers: further statuses of success and what they mean.
    """
    wanted = dict(needs(role))
    if body is not None:
        wanted["openapi_extra"] = {
            **wanted["openapi_extra"],
            "requestBody": {
                "required": body_required,
                "content": {
                    "application/json": {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}
                },
            },
        }
        problems = (*problems, 413, 415, 422)
    responses: dict[int | str, dict[str, Any]] = {
        status: _problem_response(status) for status in sorted({*problems, 401, 403, 503})
    }
    for status, meaning in (answers or {}).items():
        responses[status] = {"description": meaning}
    return {**wanted, "responses": responses}


_PROBLEM = {"$ref": f"#/components/schemas/{Problem.__name__}"}


def completed(description: dict[str, Any]) -> dict[str, Any]:
    """The generated description with the models of bodies, our problem documents, and how to authenticate."""
    _, defined = models_json_schema(
        [(model, "validation") for model in _MODELS], ref_template="#/components/schemas/{model}"
    )
    components = description.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    schemas.update(defined.get("$defs", {}))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    for operations in description["paths"].values():
        for operation in operations.values():
            _complete_operation(operation)
    components["schemas"] = dict(sorted(schemas.items()))
    return description


def _complete_operation(operation: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    if "HTTPValidationError" in str(
        responses.get("422", "")
    ):  # FastAPI's own, where a parameter can be wrong
        responses["422"] = _problem_response(422)
    if operation.get(ROLE_MEMBER) != Role.NOBODY.label:
        operation["security"] = [{"bearer": []}]
    operation["responses"] = dict(sorted(responses.items()))


def _problem_response(status: int) -> dict[str, Any]:
    return {"description": _MEANINGS[status], "content": {"application/problem+json": {"schema": _PROBLEM}}}
