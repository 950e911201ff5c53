"""What the scorecard of the kills says of deaths: known by a ledger and books written by hand."""

from __future__ import annotations

from pathlib import Path

from ironforge.job import Attempt, Job, JobStatus
from tests.chaos import kills
from tests.chaos.events import Record
from tests.chaos.ledger import Ledger

CHARGED = "runs that a child's death cut off, charged as crashes"


def _ledger(path: Path, *lines: str) -> Ledger:
    path.write_text("".join(f"{line}\n" for line in lines))
    ledger = Ledger(path)
    ledger.read()
    return ledger


def _job(*ends: tuple[str, int]) -> Job:
    """Its runs: how each ended, and in which process."""
    attempts = [
        Attempt(at, 0, 1, f"host-{pid}-abc", outcome) for at, (outcome, pid) in enumerate(ends, start=1)
    ]
    return Job("j", "k", "q", JobStatus.COMPLETED, attempts=attempts)


def _charged(record: Record, ledger: Ledger, job: Job) -> str:
    rows = kills._charges(record, ledger, {"j": job})  # pyright: ignore[reportPrivateUsage]
    return next(row.value for row in rows if row.what == CHARGED)


def test_a_run_that_a_death_cut_off_has_to_be_a_crash(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path / "l", "start j 1:a 11 1.0", "start j 2:b 12 3.0", "end j 2:b 12 4.0")
    record = Record(child_deaths=[(2.0, 11)])
    assert _charged(record, ledger, _job(("crashed", 11), ("completed", 12))) == "1 of 1"
    assert _charged(record, ledger, _job(("lapsed", 11), ("completed", 12))) == "0 of 1"


def test_a_child_that_had_lost_its_lease_before_is_not_asked_for_a_crash(tmp_path: Path) -> None:
    """Its host stood still; it was killed as it went on, before it knew."""
    ledger = _ledger(tmp_path / "l", "start j 1:a 11 1.0", "start j 2:b 12 17.0", "end j 2:b 12 18.0")
    record = Record(child_deaths=[(20.0, 11)], unkept={11})
    assert _charged(record, ledger, _job(("lapsed", 11), ("completed", 12))) == "0 of 0"


def test_a_run_that_ended_is_not_cut_off_by_a_zombie_that_begins_an_older_claim(tmp_path: Path) -> None:
    ledger = _ledger(
        tmp_path / "l", "start j 2:b 12 3.0", "end j 2:b 12 4.0", "start j 1:a 11 9.0", "end j 1:a 11 9.1"
    )
    record = Record(child_deaths=[(10.0, 12)])
    assert _charged(record, ledger, _job(("lapsed", 11), ("completed", 12))) == "0 of 0"
