"""Options that several commands have."""

from __future__ import annotations

import argparse

from ironforge import config


def add_durability(parser: argparse.ArgumentParser) -> None:
    """The same option for all that accept jobs."""
    parser.add_argument(
        "--durability",
        choices=config.DURABILITIES,
        help="what an accepted job has survived: local (as Redis is set), always (refuses to start unless Redis syncs "
        "each write to its disk), replicated (a replica has it); default: IRONFORGE_DURABILITY, local",
    )
