"""A Redis of one's own, on a short path: that of a socket is limited to 107 bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.redis_server import RedisServer


@contextmanager
def private_redis(binary: Path, *options: str) -> Generator[RedisServer]:
    """Runs until the end of the block; its folder has room for a proxy's socket too."""
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), str(binary), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
