"""What `ironforge doctor` says of the books, and how it has them repaired."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ironforge.cli.output import coloured
from ironforge.safe_text import safe_text

if TYPE_CHECKING:
    from ironforge.queue.auditor import Finding
    from ironforge.queue.backend import RedisQueue
    from ironforge.queue.inspecting import Looked
    from ironforge.queue.repair import Repaired

ROUNDS = 3  # what hides behind a damage shows at the next look
MOST_KEPT = 10_000  # repairs that --json shows
_SHOW_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `advice` says what to do where it is not well."""

    name: str
    well: bool
    detail: str
    advice: str = ""


class Progress:
    """On a terminal: how much was looked at. Silent otherwise."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._next = 0.0

    def tell(self, looked: Looked) -> None:
        if self._shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + _SHOW_EVERY_S
            words = f"{looked.jobs:,} jobs, {looked.entries:,} index entries looked at"
            print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


async def look_at_books(queue: RedisQueue, sample: int | None, progress: Progress) -> list[Check]:
    """One line for the books, and one for each finding."""
    from ironforge.queue.auditor import audit

    try:
        found = await audit(queue, tell=progress.tell, sample=sample)
    finally:
        progress.clear()
    looked = f"{found.jobs:,} jobs and {found.entries:,} index entries looked at"
    if sample:
        looked += ", a sample"
    if not found.findings:
        return [Check("books", True, looked)]
    more = "" if found.whole else ", the rest was not looked at"
    advice = "what is named below was changed by hand, or by a bug: please report it if nobody did"
    return [
        Check("books", False, f"{len(found.findings):,} findings; {looked}{more}", advice),
        *(
            Check(one.rule, False, _printable(f"{one.subject} {one.detail}"), _advice(one))
            for one in found.findings
        ),
    ]


@dataclass(slots=True)
class Repairs:
    """What was repaired, or would be: how much, and the first of it."""

    count: int = 0
    first: list[dict[str, object]] = field(default_factory=list[dict[str, object]])


async def repair_books(queue: RedisQueue, args: argparse.Namespace, progress: Progress) -> Repairs:
    """Asks first, unless --yes or --dry-run is given. Told as it goes, since there may be a million."""
    from ironforge.queue.repair import repair

    made = Repairs()
    if not args.dry_run and not args.yes and not await _is_wanted(queue, progress):
        return made
    told: set[Finding] = set()
    for _ in range(1 if args.dry_run else ROUNDS):
        before = made.count
        async for one in repair(queue, dry_run=args.dry_run, tell=progress.tell):
            if not one.done or one.finding in told:
                continue
            made.count += 1
            if made.count <= MOST_KEPT:
                made.first.append(_record(one))
                if args.dry_run:  # nothing changes, so the same thing is met by each way that leads to it
                    told.add(one.finding)
            progress.clear()
            if not args.json:
                _print(one, "would" if args.dry_run else "repaired")
        progress.clear()
        if made.count == before:
            break
    if args.dry_run and not args.json:
        print(f"{made.count:,} repairs would be made; nothing was changed\n")
    return made


async def _is_wanted(queue: RedisQueue, progress: Progress) -> bool:
    """Tells a person what there is to repair, and asks. Not asked when there is nothing."""
    from ironforge.queue.auditor import audit
    from ironforge.queue.rules import RULES

    try:
        found = await audit(queue, tell=progress.tell)
    finally:
        progress.clear()
    there = sum(RULES[one.rule].repaired for one in found.findings)
    if not there:
        return False
    more = "" if found.whole else " or more"
    print(
        f"{there:,}{more} findings can be repaired; --dry-run says how. Repair them? (y/n) ",
        end="", file=sys.stderr, flush=True,
    )  # fmt: skip
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _record(one: Repaired) -> dict[str, object]:
    finding = one.finding
    return {
        "rule": finding.rule, "subject": _printable(finding.subject), "detail": _printable(finding.detail),
        "done": list(one.done),
    }  # fmt: skip


def _print(one: Repaired, word: str) -> None:
    finding = one.finding
    about = safe_text(_printable(f"{finding.subject} {finding.detail}"), 300)
    print(f"{coloured(word)} {finding.rule}: {about}: {safe_text('; '.join(one.done), 300)}", flush=True)


def _advice(finding: Finding) -> str:
    from ironforge.queue.rules import RULES

    rule = RULES[finding.rule]
    if rule.repaired:
        return "ironforge doctor --repair puts it right"
    return _printable(rule.advice.format(key=finding.key, subject=finding.subject))


def _printable(text: str) -> str:
    """Redis holds any bytes; a line of text does not."""
    return text.encode("utf-8", "backslashreplace").decode()
