"""The bundled Redis-compatible server: found, started, shared between processes, and stopped by the last to leave."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ironforge.embedded.find import find_server
    from ironforge.embedded.launcher import EmbeddedRedis

__all__ = ["EmbeddedRedis", "find_server"]

_HOME = {"EmbeddedRedis": "launcher", "find_server": "find"}


def __getattr__(name: str) -> Any:
    """Loaded on first use: the guard lives for days, imports this package, and wants neither."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
