"""The token, and the role every route declares."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Scope

from ironforge.config import Settings
from ironforge.errors import ConfigError
from ironforge.forge import Forge
from ironforge.job import new_job_id
from ironforge.server.app import create_app
from ironforge.server.auth import ROLE_MEMBER, Bearer, Role, check_bind

TOKEN = "a-long-random-token-é"
ROLES = {role.label for role in Role}
NEEDS = {
    "POST /jobs": "submitter",
    "POST /jobs/batch": "submitter",
    "GET /jobs": "viewer",
    "GET /jobs/{job_id}": "viewer",
    "DELETE /jobs/{job_id}": "operator",
    "POST /jobs/{job_id}/retry": "operator",
    "POST /jobs/{job_id}/run": "operator",
    "POST /jobs/{job_id}/cancel": "operator",
    "GET /queues": "viewer",
    "GET /queues/stats": "viewer",
    "POST /queues/{name}/pause": "operator",
    "POST /queues/{name}/resume": "operator",
    "GET /dlq/groups": "viewer",
    "GET /workers": "viewer",
    "GET /tasks": "viewer",
    "GET /events": "viewer",
    "GET /health": "nobody",
    "GET /health/live": "nobody",
    "GET /metrics": "viewer",
}


@pytest.fixture
async def guarded(redis_url: str, namespace: str) -> AsyncIterator[httpx.AsyncClient]:
    forge = Forge(settings=Settings(redis_url=redis_url, namespace=namespace, token=TOKEN))
    transport = httpx.ASGITransport(create_app(forge), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    await forge.aclose()


def _bearer(token: str) -> dict[str, bytes]:
    return {"authorization": f"Bearer {token}".encode()}


def _described(forge: Forge) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in create_app(forge).openapi()["paths"].items()
        for method, operation in item.items()
    }


def test_every_route_declares_the_role_it_needs(forge: Forge) -> None:
    found = {name: operation.get(ROLE_MEMBER) for name, operation in _described(forge).items()}
    assert found == NEEDS


async def test_without_the_token_only_health_answers(guarded: httpx.AsyncClient, forge: Forge) -> None:
    wrong: list[dict[str, bytes]] = [
        {}, _bearer("no"), _bearer(TOKEN + "x"), _bearer(""), {"authorization": TOKEN.encode()},
        {"authorization": b"Basic " + TOKEN.encode()}, {"authorization": b"\xff\xfe"},
    ]  # fmt: skip
    paths = [
        *_described(forge),
        "GET /docs",
        "GET /openapi.json",
        "GET /",
        "GET /nope",
        "PUT /health",
        "POST /health/live",
    ]
    for name in paths:
        method, path = name.split(" ")
        path = path.replace("{job_id}", new_job_id()).replace("{name}", "default")
        for headers in wrong:
            if not headers and name in ("GET /health", "GET /health/live"):
                continue
            answer = await guarded.request(method, path, headers=headers)
            assert answer.status_code == 401, (name, headers)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["type"] == "unauthorized" and TOKEN not in answer.text


async def test_health_tells_more_to_those_who_may_know(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get("/health")).json() == {"status": "ok", "version": "0.1.0"}
    assert (await guarded.get("/health/live")).json() == {"status": "alive", "version": "0.1.0"}
    full = (await guarded.get("/health", headers=_bearer(TOKEN))).json()
    assert full["durability"] == "none" and full["redis"]["server"].split()[0] in ("valkey", "redis")


async def test_with_the_token_everything_answers(guarded: httpx.AsyncClient) -> None:
    answer = await guarded.post("/jobs", json={"kind": "a"}, headers=_bearer(TOKEN))
    assert answer.status_code == 201
    for path in ("/jobs", "/queues", "/docs", "/openapi.json", "/metrics"):
        assert (await guarded.get(path, headers=_bearer(TOKEN))).status_code == 200


@pytest.mark.parametrize("role", Role)
async def test_a_lesser_role_is_refused(
    role: Role, guarded: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(_bearer: Bearer, _scope: Scope) -> Role:
        return role

    monkeypatch.setattr(Bearer, "_role", given)
    for name, needed in NEEDS.items():
        if name == "GET /events":  # never ends for those who may
            continue
        method, path = name.split(" ")
        path = path.replace("{job_id}", new_job_id()).replace("{name}", "default")
        answer = await guarded.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code == 403) == (role < Role[needed.upper()]), (name, answer.status_code)
        if answer.status_code == 403:
            assert answer.json()["type"] == "forbidden" and needed in answer.json()["detail"]


@pytest.mark.parametrize(
    ("bind", "token", "refused"),
    [
        ("127.0.0.1:3000", None, False),
        ("127.1.2.3:3000", None, False),
        ("localhost:3000", None, False),
        ("[::1]:3000", None, False),
        ("0.0.0.0:3000", None, True),
        ("[::]:3000", None, True),
        (":3000", None, True),
        ("192.168.1.4:3000", None, True),
        ("jobs.example:3000", None, True),
        ("0.0.0.0:3000", "t", False),
    ],
)
def test_a_network_needs_a_token(bind: str, token: str | None, refused: bool) -> None:
    settings = Settings(bind_addr=bind, token=token)
    if not refused:
        check_bind(settings)
        return
    with pytest.raises(ConfigError, match="IRONFORGE_TOKEN"):
        check_bind(settings)
