"""`./forge chaos [SCENARIO …]`: breaks things on purpose, by a seed, and prints a scorecard. Exit 1 when a target is missed."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import asdict
from pathlib import Path

from tests.chaos.scorecard import Row, Scenario, Setting, printed

SCENARIOS = (
    "kills",
    "zombies",
    "steps",
    "terms",
    "rolling",
    "recovery",
    "upgrades",
    "replies",
    "races",
    "network",
    "failover",
    "durability",
    "growth",
    "soak",
)


def main() -> int:
    chosen = _arguments()
    # What was started is ended whichever way this one is.
    signal.signal(signal.SIGTERM, _interrupt)
    missed = False
    results: dict[str, list[dict[str, object]]] = {}
    for name in chosen.scenario or _present():
        scenario: Scenario = importlib.import_module(f"tests.chaos.{name}").run
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
        setting = Setting(chosen.seed, chosen.scale, chosen.redis_server, folder, _tell)
        began = time.monotonic()
        rows = asyncio.run(_run(scenario, setting))
        print(printed(name, chosen.seed, time.monotonic() - began, rows), flush=True)
        results[name] = [asdict(row) for row in rows]
        if any(row.ok is False for row in rows):
            missed = True
            print(f"  what it left behind: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if chosen.json:
        chosen.json.write_text(
            json.dumps({"seed": chosen.seed, "scale": chosen.scale, "scenarios": results}, indent=1)
        )
    return int(missed)


def _interrupt(_number: int, _frame: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


async def _run(scenario: Scenario, setting: Setting) -> list[Row]:
    """Its rows; one that says why, when it could not go on: the others run all the same."""
    try:
        return await scenario(setting)
    except Exception as error:
        traceback.print_exc()
        return [Row("it could not go on", f"{type(error).__name__}: {error}", "to the end", False)]


def _arguments() -> argparse.Namespace:
    from ironforge.embedded import find_server

    parser = argparse.ArgumentParser(prog="./forge chaos", description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[*_present(), []], help="all, when none is named")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="replays a run")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size (1.0)")
    parser.add_argument("--redis-server", type=Path, default=None, help="the server binary to start")
    parser.add_argument("--json", type=Path, default=None, help="writes the scorecard there too")
    chosen = parser.parse_args()
    if chosen.redis_server is None:
        chosen.redis_server = Path(find_server()[0])
    return chosen


def _present() -> list[str]:
    return [name for name in SCENARIOS if importlib.util.find_spec(f"tests.chaos.{name}")]


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
