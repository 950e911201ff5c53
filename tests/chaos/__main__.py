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
import subprocess
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
    run = {
        "commit": _commit(),
        "server": _version(chosen.redis_server),
        "seed": chosen.seed,
        "scale": chosen.scale,
    }
    print(", ".join(f"{name} {value}" for name, value in run.items()), flush=True)
    results: dict[str, list[Row]] = {}
    try:
        for name in chosen.scenario or _present():
            results[name] = _play(name, chosen)
            if chosen.json:
                shown = {name: [asdict(row) for row in rows] for name, rows in results.items()}
                chosen.json.write_text(json.dumps({**run, "scenarios": shown}, indent=1))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    judged = [row for rows in results.values() for row in rows if row.ok is not None]
    missed = sum(not row.ok for row in judged)
    print(f"{len(judged) - missed} of {len(judged)} targets met")
    return int(missed > 0)


def _play(name: str, chosen: argparse.Namespace) -> list[Row]:
    """One scenario, from its folder to its part of the scorecard. The folder is kept when something was missed."""
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
    setting = Setting(chosen.seed, chosen.scale, chosen.redis_server, folder, _tell)
    began = time.monotonic()
    rows = asyncio.run(_run(name, setting))
    _tell("")
    print(printed(name, chosen.seed, time.monotonic() - began, rows), flush=True)
    if any(row.ok is False for row in rows):
        print(f"  what it left behind: {folder}", flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return rows


async def _run(name: str, setting: Setting) -> list[Row]:
    """Its rows; one that says why, when it could not go on: the others run all the same."""
    try:
        scenario: Scenario = importlib.import_module(f"tests.chaos.{name}").run
        return await scenario(setting)
    except Exception as error:
        traceback.print_exc()
        return [Row("it could not go on", f"{type(error).__name__}: {error}", "to the end", False)]


def _interrupt(_number: int, _frame: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _commit() -> str:
    """A figure counts with its commit."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return (
            subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
            or "?"
        )
    except OSError:
        return "?"


def _version(server: Path) -> str:
    words = subprocess.run([server, "--version"], capture_output=True, text=True).stdout
    return " ".join(word for word in words.split()[:3])


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
    elif line:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
