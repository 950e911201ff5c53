"""`./forge prove`: a million random transitions of the shipped scripts against the model. Exit 1 when one fails."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

from tests.model import drive
from tests.model.invariants import INVARIANTS
from tests.model.proving import play, prove


def main() -> int:
    chosen = _arguments()
    began = time.monotonic()
    if chosen.episode is not None:
        reports = [play(chosen.redis_server, chosen.seed, 1, chosen.episode)]
    else:
        reports = prove(chosen.redis_server, chosen.seed, chosen.transitions, chosen.processes)
    return _print(reports, chosen.seed, time.monotonic() - began)


def _arguments() -> argparse.Namespace:
    from ironforge.embedded import find_server

    parser = argparse.ArgumentParser(prog="./forge prove", description=__doc__)
    parser.add_argument(
        "--transitions", type=int, default=1_000_000, help="script calls to check (1,000,000)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="replays a run")
    parser.add_argument("--episode", type=int, default=None, help="only this one of the seed's sequences")
    parser.add_argument("--processes", type=int, default=2, help="each with a server of its own (2)")
    parser.add_argument("--redis-server", type=Path, default=None, help="the server binary to start")
    chosen = parser.parse_args()
    if chosen.redis_server is None:
        chosen.redis_server = Path(find_server()[0])
    return chosen


def _print(reports: list[drive.Report], seed: int, seconds: float) -> int:
    rules: Counter[str] = Counter()
    for report in reports:
        rules.update(report.counts.rules)
    transitions = sum(report.counts.transitions for report in reports)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print("rule                  applied")
    for name, times in sorted(rules.items(), key=lambda item: -item[1]):
        print(f"  {name:<20}{times:>9,}")
    print("invariants checked after each transition:")
    for one in INVARIANTS:
        print(f"  {one.number:>2}  {one.sentence}")
    failures = [report for report in reports if report.failure]
    readings = sum(report.counts.readings for report in reports)
    clock_steps = sum(report.counts.clock_steps for report in reports)
    print(
        f"{transitions:,} transitions in {sum(report.episodes for report in reports):,} sequences "
        f"({readings:,} readings and {clock_steps:,} steps of the clock between them), "
        f"{seconds:.0f} s, {transitions / seconds:,.0f}/s, seed {seed}: {len(failures)} failures"
    )
    for report in failures:
        print(f"replay with: ./forge prove --seed {seed} --episode {report.episode}\n{report.failure}")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
