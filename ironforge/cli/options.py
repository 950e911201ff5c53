"""Options that several commands have."""

from __future__ import annotations

import argparse

from ironforge import config


def add_redis_options(parser: argparse.ArgumentParser) -> None:
    """What is asked of Redis, by all that accept jobs."""
    parser.add_argument(
        "--shards",
        type=int,
        metavar="N",
        help="split a new namespace into N parts, for a Redis Cluster (default 1)",
    )
    parser.add_argument(
        "--durability",
        choices=config.DURABILITIES,
        help="what an accepted job has survived: local (as Redis is set), always (refuses to start unless Redis syncs "
        "each write to its disk), replicated (a replica has it); default: IRONFORGE_DURABILITY, local",
    )
    parser.add_argument("--allow-unsafe-redis", action="store_true", help="run on a Redis that may lose jobs")
