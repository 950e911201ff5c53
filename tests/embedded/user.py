"""A process that uses the embedded server until its input ends: `python -m tests.embedded.user DATA_DIR LINGER_S`."""

from __future__ import annotations

import sys
from pathlib import Path

import redis

from ironforge.embedded import EmbeddedRedis
from ironforge.errors import StartupError


def main() -> int:
    embedded = EmbeddedRedis(Path(sys.argv[1]), linger_s=float(sys.argv[2]))
    try:
        url = embedded.start()
    except StartupError as error:
        print(error, flush=True)
        return 1
    with redis.Redis.from_url(url, protocol=3, legacy_responses=False) as client:
        print(client.incr("users"), flush=True)
    sys.stdin.read()
    embedded.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
