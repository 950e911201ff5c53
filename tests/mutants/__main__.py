"""`./forge prove mutants`: breaks the scripts, one small change at a time, and shows which change no test notices.

Exit 1 when a mutant survives that no file of `equivalent/` explains, or when an entry there is wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mutants.equivalents import LISTED, Equivalent, listed, matched
from tests.mutants.killing import Verdict, kill
from tests.mutants.mutant import LUA, Mutant, all_mutants
from tests.mutants.pool import Pool
from tests.mutants.reach import TestsFail, measure
from tests.mutants.report import Report

_ROOT = Path(__file__).parents[2]


def main() -> int:
    chosen = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped then too
    mutants = all_mutants()
    _, unknown = matched(mutants, listed(chosen.equivalent))
    mutants = _chosen(mutants, chosen)
    if chosen.list:
        for mutant in mutants:
            print(mutant.shown)
        print(f"{len(mutants)} mutants")
        return 0
    run = _Run(mutants, chosen, unknown)
    folders = [str(_ROOT / "tests" / name) for name in ("queue", "auditor")]
    arguments = [*folders, "-s", "-p", "no:terminal", "-p", "no:cacheprovider"]
    code = pytest.main(["--rootdir", str(_ROOT), *arguments], plugins=[run])
    if run.failed:
        print(run.failed, file=sys.stderr)
        return 1
    if not run.report:
        print(f"the tests could not be collected (pytest's exit code {code})", file=sys.stderr)
        return 1
    print(run.report.printed())
    if chosen.json:
        chosen.json.write_text(json.dumps(run.report.as_json(), indent=1) + "\n")
    return int(not run.report.good)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./forge prove mutants", description=__doc__)
    names = sorted(path.stem for path in LUA.glob("*.lua"))
    parser.add_argument("script", nargs="*", choices=[*names, []], metavar="SCRIPT", help=", ".join(names))
    parser.add_argument("--list", action="store_true", help="shows the mutants and runs nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the result there too")
    parser.add_argument(
        "--keep-going", action="store_true", help="goes on after the first survivor that nobody explains"
    )
    parser.add_argument("--jobs", type=int, default=2, help="so many at a time (2)")
    parser.add_argument(
        "--name", action="append", default=[], help="this mutant only; may be given several times"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="so many of them, by the seed")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="replays a sample")
    parser.add_argument("--quick", action="store_true", help="the script's own tests only")
    parser.add_argument(
        "--equivalent",
        type=Path,
        default=LISTED,
        help="another list, or folder of them, instead of equivalent/",
    )
    parser.add_argument("--no-model", action="store_true", help="the tests of queue and auditor only")
    return parser.parse_args()


def _chosen(mutants: list[Mutant], chosen: argparse.Namespace) -> list[Mutant]:
    if chosen.script:
        mutants = [mutant for mutant in mutants if mutant.file in chosen.script]
    if chosen.name:
        mutants = [mutant for mutant in mutants if mutant.name in chosen.name]
    if chosen.sample is not None and chosen.sample < len(mutants):
        print(f"a sample by seed {chosen.seed}")
        mutants = random.Random(chosen.seed).sample(mutants, chosen.sample)
    return mutants


class _Run:
    """Takes pytest's place once the tests are collected."""

    def __init__(
        self, mutants: list[Mutant], chosen: argparse.Namespace, unknown: Sequence[Equivalent]
    ) -> None:
        self._mutants, self._chosen, self._unknown = mutants, chosen, unknown
        self.report: Report | None = None
        self.failed = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Tests that start a server of their own are about the connection; they know nothing of scripts."""
        items[:] = [item for item in items if "own_server" not in getattr(item, "fixturenames", ())]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from ironforge.embedded import find_server

        began = time.monotonic()
        model = not (self._chosen.quick or self._chosen.no_model)
        with Pool(session.items, str(find_server()[0]), self._chosen.jobs) as pool:
            try:
                reach = None
                if not self._chosen.quick:
                    reach = measure(
                        pool, [item.nodeid for item in session.items], self._chosen.jobs, model=model
                    )
            except TestsFail as failure:
                self.failed = str(failure)
                return True
            _tell(
                f"{len(session.items)} tests ({time.monotonic() - began:.0f} s), {len(self._mutants)} mutants"
            )
            report = Report(matched(self._mutants, listed(self._chosen.equivalent))[0], self._unknown)
            for verdict in kill(pool, session.items, self._mutants, reach, model):
                report.add(verdict)
                self._show(report, verdict)
                if not self._chosen.keep_going and (report.survivors or report.refuted):
                    break
        report.seconds = time.monotonic() - began
        self.report = report
        return True

    def _show(self, report: Report, verdict: Verdict) -> None:
        if report.is_news(verdict):
            print(
                f"\r\033[K{report.news(verdict)}" if sys.stderr.isatty() else report.news(verdict), flush=True
            )
        done = len(report.verdicts)
        if sys.stderr.isatty() or done % 100 == 0:
            _tell(f"{done} of {len(self._mutants)}")


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
