"""Settings: flag > environment > config file > default, merged once and passed down."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ironforge.errors import ConfigError

NAMESPACE_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

# Setting -> its environment variable.
ENVIRONMENT: Mapping[str, str] = {
    "redis_url": "REDIS_URL",
    "redis_server": "IRONFORGE_REDIS_SERVER",
    "allowed_hosts": "IRONFORGE_ALLOWED_HOSTS",
    "bind_addr": "BIND_ADDR",
    "url": "IRONFORGE_URL",
    "namespace": "IRONFORGE_NAMESPACE",
    "token": "IRONFORGE_TOKEN",
    "log": "IRONFORGE_LOG",
    "log_format": "IRONFORGE_LOG_FORMAT",
    "data_dir": "IRONFORGE_DATA_DIR",
    "shards": "IRONFORGE_SHARDS",
    "durability": "IRONFORGE_DURABILITY",
}
# What a caller of enqueue waits for: whatever the server found does, one checked to sync each write, or a replica.
DURABILITIES = ("local", "always", "replicated")


def _default_data_dir() -> Path:
    import platformdirs  # 8 ms that only a default needs

    return Path(platformdirs.user_data_dir("ironforge", appauthor=False))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set from outside. `explicit` names what was not left at its default."""

    redis_url: str | None = field(default=None, repr=False)  # it may hold a password
    redis_server: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    bind_addr: str = "127.0.0.1:3000"
    url: str | None = None
    namespace: str = "ironforge"
    token: str | None = field(default=None, repr=False)
    log: str = "info"
    log_format: str | None = None
    data_dir: Path = field(default_factory=_default_data_dir)
    shards: int | None = None
    durability: str = "local"
    explicit: frozenset[str] = frozenset()

    @property
    def bind(self) -> tuple[str, int]:
        """Host and port of `bind_addr`; an IPv6 host comes without its brackets."""
        return split_address(self.bind_addr)

    @property
    def is_loopback(self) -> bool:
        host, _ = self.bind
        return host in LOOPBACK_HOSTS or host.startswith("127.")

    @property
    def server_url(self) -> str:
        """Where console and CLI find the server."""
        if self.url:
            return self.url.rstrip("/")
        host, port = self.bind
        if host in ("0.0.0.0", "::", ""):
            host = "127.0.0.1"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def split_address(address: str) -> tuple[str, int]:
    """`HOST:PORT`, `[IPV6]:PORT` or `:PORT` in two parts. Raises ConfigError."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise ConfigError(f"{address!r} is not HOST:PORT; give for example 127.0.0.1:3000")
    return host.strip("[]"), int(port)


def load(directory: Path | None = None, **flags: object) -> Settings:
    """Merges flags (None = absent), environment and config file. Raises ConfigError with a plain sentence."""
    merged: dict[str, Any] = {}
    for source in (_from_file(directory or Path.cwd()), _from_environment(), flags):
        merged.update({name: value for name, value in source.items() if value is not None})
    if isinstance(hosts := merged.get("allowed_hosts"), str):
        merged["allowed_hosts"] = tuple(host.strip() for host in hosts.split(",") if host.strip())
    if "data_dir" in merged:
        merged["data_dir"] = Path(str(merged["data_dir"])).expanduser().absolute()
    if "shards" in merged:
        merged["shards"] = _whole(merged["shards"], "shards")
    settings = Settings(**merged, explicit=frozenset(merged))
    _check(settings)
    return settings


def _whole(value: object, name: str) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ConfigError(f"{name} is {str(value)!r}; it must be a whole number") from None


def _check(settings: Settings) -> None:
    if not NAMESPACE_PATTERN.fullmatch(settings.namespace):
        raise ConfigError(
            f"namespace {settings.namespace!r} is not allowed; use up to 32 of a-z 0-9 . _ - and begin with a letter or digit"
        )
    if settings.log_format not in (None, "json", "console"):
        raise ConfigError(f"IRONFORGE_LOG_FORMAT is {settings.log_format!r}; it must be json or console")
    if settings.durability not in DURABILITIES:
        raise ConfigError(f"durability is {settings.durability!r}; it must be local, always or replicated")
    split_address(settings.bind_addr)


def _from_environment() -> dict[str, str]:
    return {name: value for name, variable in ENVIRONMENT.items() if (value := os.environ.get(variable))}


def _from_file(directory: Path) -> dict[str, Any]:
    for path, table in ((directory / "ironforge.toml", None), (directory / "pyproject.toml", "ironforge")):
        if not path.is_file():
            continue
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            if table is None:
                raise ConfigError(f"{path.name} cannot be read: {error}") from None
            continue
        if table is not None:
            tool = cast("dict[str, Any]", content.get("tool", {}))
            if table not in tool:
                continue
            content = cast("dict[str, Any]", tool[table])
        unknown = sorted(set(content) - set(ENVIRONMENT))
        if unknown:
            known = ", ".join(sorted(ENVIRONMENT))
            raise ConfigError(f"{path.name} has an unknown setting {unknown[0]!r}; known are {known}")
        return content
    return {}
