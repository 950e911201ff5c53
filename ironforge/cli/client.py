"""The HTTP client of the commands: synchronous, and every failure a sentence."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote, urlsplit

import httpx

from ironforge.config import LOOPBACK_HOSTS, Settings
from ironforge.errors import ConfigError, IronForgeError
from ironforge.job import loads_any_int

CONNECT_S = 5.0
ANSWER_S = 30.0


class ServerAway(IronForgeError):
    """The server does not answer; commands exit 3."""

    code = "server_unreachable"


class Refused(IronForgeError):
    """The server answered with a problem document."""

    code = "refused"

    def __init__(self, problem: dict[str, Any], status_code: int) -> None:
        words = str(problem.get("detail") or problem.get("title") or f"the server answered {status_code}")
        findings = problem.get("errors")
        more = [
            f"{found.get('pointer', '')}: {found.get('detail', '')}"
            for found in (cast("list[dict[str, Any]]", findings) if isinstance(findings, list) else [])
            if str(found.get("detail")) not in words
        ]
        super().__init__("; ".join([words, *more]))
        self.problem, self.status_code = problem, status_code


class Document(dict[str, Any]):
    """An answer; `text` is its JSON as it came, with numbers as they were written."""

    text: str = "{}"


class Client:
    """Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._url = url = settings.server_url
        host = _host_of(url)
        if settings.token and not (settings.token.isascii() and settings.token.isprintable()):
            raise ConfigError("IRONFORGE_TOKEN holds characters that no token has; copy it again")
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {settings.token}"} if settings.token else {},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            # A proxy of the environment cannot reach this machine's loopback.
            trust_env=host not in LOOPBACK_HOSTS and not host.startswith("127."),
            verify=url.startswith("https:"),  # reading the certificates takes 20 ms
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Document:
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path, params=given)

    def post(self, path: str, body: bytes | None = None, *, key: str | None = None) -> Document:
        """`body` is JSON; `key` an Idempotency-Key."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        if key is not None:
            if not (key.isascii() and key.isprintable() and key.strip()):
                raise ConfigError(f"the idempotency key {key!a} is not plain ASCII text")
            headers["Idempotency-Key"] = key
        return self._ask("POST", path, content=body, headers=headers)

    def delete(self, path: str) -> None:
        self._ask("DELETE", path)

    def _ask(self, method: str, path: str, **more: Any) -> Document:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.TimeoutException:
            raise ServerAway(
                f"the server at {self._url} does not answer in time; look at its log, or try again"
            ) from None
        except httpx.HTTPError:
            raise ServerAway(
                f"no server answers at {self._url}. Start one with 'ironforge server', or set IRONFORGE_URL"
            ) from None
        document = Document()
        if answer.status_code == 204:
            return document
        document.text = answer.content.decode("utf-8", "replace")
        try:
            found = loads_any_int(document.text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ServerAway(
                f"what answers at {self._url} is not IronForge (status {answer.status_code}); set IRONFORGE_URL"
            )
        document.update(cast("dict[str, Any]", found))
        if answer.is_success:
            return document
        if answer.status_code == 503:
            words = document.get("detail") or "it answered 503"
            raise ServerAway(f"the server at {self._url} cannot reach its Redis: {words}")
        raise Refused(document, answer.status_code)


def segment(text: str) -> str:
    """One segment of a path, whatever the text. Raises ConfigError for what no path can hold."""
    if text in ("", ".", ".."):
        raise ConfigError(f"{text!r} is no id and no name")
    return quote(text, safe="")


def _host_of(url: str) -> str:
    """Raises ConfigError for what is not an http URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ConfigError(f"{url!r} is not a URL of a server; set IRONFORGE_URL as in http://127.0.0.1:3000")
    return host
