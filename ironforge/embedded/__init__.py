"""The bundled Redis-compatible server: found, started, shared between processes, and stopped by the last to leave."""

from __future__ import annotations

from ironforge.embedded.find import find_server
from ironforge.embedded.launcher import EmbeddedRedis

__all__ = ["EmbeddedRedis", "find_server"]
