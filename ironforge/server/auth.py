"""Who may do what: the role each route needs, and the token that gives it.

For now there is one token, `IRONFORGE_TOKEN`, and it is an admin's. Without one every caller is an admin, which is why
the server then listens on loopback only.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from enum import IntEnum
from hashlib import sha256
from typing import Any

from fastapi import Depends, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ironforge.config import Settings
from ironforge.errors import ConfigError, Forbidden, Unauthorized
from ironforge.server import problems

ROLE_MEMBER = "x-required-role"
# What a load balancer may ask without a token; /health then tells no more than that it is well.
_OPEN_PATHS = frozenset({"/health", "/health/live"})


class Role(IntEnum):
    """Each may do what those before it may. NOBODY stands for a caller without a token."""

    NOBODY = 0
    VIEWER = 1
    SUBMITTER = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def label(self) -> str:
        return self.name.lower()


def needs(role: Role) -> Mapping[str, Any]:
    """Keyword arguments of a route: it is refused to lesser roles, and the API's description says so."""

    async def check(request: Request) -> None:
        if role_of(request) < role:
            raise Forbidden(f"this needs the role {role.label}")

    return {"dependencies": [Depends(check)], "openapi_extra": {ROLE_MEMBER: role.label}}


def role_of(request: Request) -> Role:
    return Role(request.scope.get("ironforge.role", Role.NOBODY))


def check_bind(settings: Settings) -> None:
    """Raises ConfigError where the server would be open to a network."""
    if not settings.is_loopback and not settings.token:
        raise ConfigError(
            f"BIND_ADDR {settings.bind_addr} can be reached from other machines: set IRONFORGE_TOKEN to a long random "
            "text, or bind to 127.0.0.1"
        )


class Bearer:
    """Knows the caller's role by its token, and refuses callers without one."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._digest = sha256(settings.token.encode()).digest() if settings.token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                scope["ironforge.role"] = self._role(scope)
            except Unauthorized as error:
                await problems.of(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _role(self, scope: Scope) -> Role:
        if self._digest is None:
            return Role.ADMIN
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given and own_path(scope) in _OPEN_PATHS and scope["method"] == "GET":
            return Role.NOBODY
        if len(given) != 1:
            raise Unauthorized("send the token of this server as 'Authorization: Bearer …'")
        scheme, _, token = given[0].partition(b" ")
        # Digests of equal length: the time to compare tells nothing, and no header is too odd to be hashed.
        right = hmac.compare_digest(sha256(token.strip()).digest(), self._digest)
        if scheme.lower() != b"bearer" or not right:
            raise Unauthorized("this token is not known here")
        return Role.ADMIN


def own_path(scope: Scope) -> str:
    """The path below the place where the app is mounted."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))
