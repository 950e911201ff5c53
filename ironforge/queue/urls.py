"""REDIS_URL in its parts. Messages never hold a password, or what might be a part of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote

from ironforge.errors import ConfigError

Form = Literal["standalone", "socket", "sentinel", "cluster"]
Address = tuple[str, int]

REDIS_PORT = 6379
SENTINEL_PORT = 26379
FORMS: Mapping[str, tuple[Form, bool]] = {
    "redis": ("standalone", False),
    "rediss": ("standalone", True),
    "unix": ("socket", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
_WRITTEN_SO = "in a user or password write / as %2F, @ as %40, : as %3A, % as %25"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where Redis is, and how to get in.

    Attributes:
        hosts: of the server, of the Sentinels, or of some nodes of the Cluster; empty for a socket.
        path: of the socket.
        service: the Sentinels' name for the master.
        options: what stood behind the `?`, without `db`.
    """

    form: Form
    tls: bool = False
    hosts: tuple[Address, ...] = ()
    path: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    service: str = ""
    db: int = 0
    options: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def parse_redis_url(url: str) -> RedisUrl:
    """Raises ConfigError with one plain sentence."""
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in FORMS:
        begins = f"begins with {scheme[:20]!r}" if colon else "does not begin with a scheme"
        raise ConfigError(f"REDIS_URL {begins}; use one of {', '.join(f'{name}://' for name in FORMS)}")
    form, tls = FORMS[scheme]
    place, _, query = rest.partition("?")
    options = _options(query, form, tls)
    place, _, _ = place.partition("#")
    authority, slash, path = place.partition("/")
    who, _, where = authority.rpartition("@")
    username, password = _credentials(who)
    if form == "socket":
        if where or not path:
            raise ConfigError("REDIS_URL names no socket; write unix:///PATH/TO/SOCKET")
        db = _db(options.pop("db", "0"))
        return RedisUrl(form, False, (), unquote(slash + path), username, password, "", db, options)
    service, db_text = path.split("/", 1) if form == "sentinel" and "/" in path else (path, "")
    if form != "sentinel":
        service, db_text = "", path
    db = _db(options.pop("db", "") or unquote(db_text).strip("/") or "0")
    if form == "sentinel" and not service:
        raise ConfigError(
            f"REDIS_URL names no service; write {scheme}://HOST:26379,HOST:26379/SERVICE, as in the Sentinels' "
            "'sentinel monitor SERVICE …'"
        )
    if form == "cluster" and db:
        raise ConfigError(f"REDIS_URL names database {db}; a Redis Cluster has database 0 alone")
    hosts = _hosts(where, SENTINEL_PORT if form == "sentinel" else REDIS_PORT)
    if form == "standalone" and len(hosts) > 1:
        raise ConfigError(
            f"REDIS_URL names {len(hosts)} hosts; for several write {scheme}+sentinel:// or {scheme}+cluster://"
        )
    return RedisUrl(form, tls, hosts, "", username, password, unquote(service), db, options)


def _credentials(text: str) -> tuple[str | None, str | None]:
    username, _, password = text.partition(":")
    return unquote(username) or None, unquote(password) or None


def _hosts(text: str, default_port: int) -> tuple[Address, ...]:
    return tuple(_host(one.strip(), default_port) for one in text.split(","))


def _host(text: str, default_port: int) -> Address:
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        port = port.removeprefix(":") if bracket else "?"
    else:
        name, colon, port = text.partition(":")
        port = port if colon else str(default_port)
    port = port or str(default_port)
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) <= 65_535:
        raise ConfigError(f"REDIS_URL has a port that is not a number from 1 to 65535; {_WRITTEN_SO}")
    return unquote(name) or "localhost", int(port)


def _db(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise ConfigError(f"REDIS_URL has a database that is not a number; {_WRITTEN_SO}")
    return int(text)


def _options(query: str, form: Form, tls: bool) -> dict[str, str]:
    known = ("db", *(_TLS_OPTIONS if tls else ()), *(_SENTINEL_OPTIONS if form == "sentinel" else ()))
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in options.items():
        if name in _TLS_OPTIONS and not tls:
            raise ConfigError(f"REDIS_URL has {name} without TLS; write rediss instead of redis")
        if name not in known:
            raise ConfigError(
                f"REDIS_URL has an option that IronForge does not know; known are {', '.join(known)}"
            )
        if name == "ssl_cert_reqs" and value not in ("required", "optional", "none"):
            raise ConfigError("REDIS_URL has an ssl_cert_reqs that is none of required, none")
        if name == "ssl_check_hostname" and value.lower() not in ("true", "false"):
            raise ConfigError("REDIS_URL has an ssl_check_hostname that is none of true, false")
    return options
