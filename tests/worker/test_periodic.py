"""Loops in the background outlive what their steps raise; and a process that lost its starter ends, whatever it does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from ironforge import lifeline
from ironforge.errors import StoreUnavailable
from ironforge.periodic import every
from tests.system.processes import ROOT
from tests.waiting import eventually


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ValueError("a mistake")])
async def test_a_step_that_fails_is_not_the_last(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    steps: list[int] = []

    async def step() -> None:
        steps.append(1)
        if len(steps) == 1:
            raise error

    loop = asyncio.create_task(every(0.001, step, "the step"))
    try:
        await eventually(lambda: len(steps) > 1 or loop.done(), 5)
        assert not loop.done()
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
    told = [record for record in caplog.records if "the step failed" in record.getMessage()]
    assert len(told) == isinstance(error, ValueError), "an outage is told elsewhere, once"


def test_a_program_that_cannot_be_started_leaves_no_descriptor_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            lifeline.tie(["/there/is/no/such/program"])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


WATCHER = """
import time
from ironforge import lifeline
lifeline.watch({on_loss}, hard_exit_after_s=0.1)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("on_loss", ["lambda: None", "lambda: 1 / 0"])
def test_one_that_does_not_end_by_itself_is_ended(on_loss: str, tmp_path: Path) -> None:
    """Also when what it should do at the loss fails."""
    tied = lifeline.tie(
        [sys.executable, "-c", WATCHER.format(on_loss=on_loss)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    try:
        assert tied.process.stdout and tied.process.stdout.readline() == b"ready\n"
        tied.release()
        assert tied.process.wait(20) == lifeline.HARD_EXIT
    finally:
        tied.process.kill()
        tied.process.wait()
        assert tied.process.stdout
        tied.process.stdout.close()
