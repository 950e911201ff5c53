"""Who may speak to the server: its own names in `Host`, no other site in `Origin`, whatever the method.

A server on loopback is reachable by every page that a browser on the machine shows. A name that an attacker lets point
to 127.0.0.1 is caught by `Host`; a foreign page is caught by `Origin` and `Sec-Fetch-Site`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from ironforge.config import LOOPBACK_HOSTS, Settings
from ironforge.server.problems import problem

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_OWN_SITES = (b"same-origin", b"none")


class Guard:
    """Refuses what did not come to one of our names, or came from a page of somebody else."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._allowed = allowed_hosts(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(scope):
            code, detail = refusal
            await problem(code, 403, detail, headers={"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[str, str] | None:
        named: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            if name in (b"host", b"origin", b"sec-fetch-site"):
                named.setdefault(name, []).append(value)
        hosts = named.get(b"host", [])
        if len(hosts) != 1 or not self._is_ours(hosts[0], scope):
            return (
                "host_refused",
                "the server does not answer to this Host; IRONFORGE_ALLOWED_HOSTS can add it",
            )
        origins = named.get(b"origin", [])
        own = f"{scope['scheme']}://".encode() + hosts[0].lower()
        if any(origin.lower() != own for origin in origins):
            return "origin_refused", "requests from pages of other sites are refused"
        if any(site not in _OWN_SITES for site in named.get(b"sec-fetch-site", [])):
            return "origin_refused", "requests from pages of other sites are refused"
        return None

    def _is_ours(self, value: bytes, scope: Scope) -> bool:
        given = value.decode("latin-1").lower()
        match = _HOST.fullmatch(given)
        if not match or int(match[2] or 0) > 65_535:
            return False
        if match[1] in self._allowed or given in self._allowed:
            return True
        # An address cannot be made to point elsewhere: the one that this connection came to is ours.
        return _is_address(match[1].strip("[]"), (scope.get("server") or ("",))[0])


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Names that are answered with any port, and `name:port` pairs; IPv6 in brackets, all in lower case."""
    return frozenset(map(_bracketed, (*LOOPBACK_HOSTS, *_bound(settings), *settings.allowed_hosts)))


def _bound(settings: Settings) -> Iterable[str]:
    host, _ = settings.bind
    return () if host in ("", "0.0.0.0", "::") else (host,)


def _bracketed(host: str) -> str:
    host = host.strip().lower()
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _is_address(host: str, local: str) -> bool:
    try:
        return ip_address(host) == ip_address(local)
    except ValueError:
        return False
