"""A tied process ends when its starter does, however that ends."""

from __future__ import annotations

import subprocess
import sys

from ironforge import lifeline
from tests.system.processes import ROOT, is_alive
from tests.waiting import wait_until

TIED = "import signal\nfrom ironforge import lifeline\nlifeline.watch()\nprint('ready', flush=True)\nsignal.pause()"
STUBBORN = "import signal, time\nfrom ironforge import lifeline\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nlifeline.watch(hard_exit_after_s=0.2)\nprint('ready', flush=True)\ntime.sleep(60)"
STARTER = f"""
import sys, time
from ironforge import lifeline
tied = lifeline.tie([sys.executable, "-c", {TIED!r}])
print(tied.process.pid, flush=True)
time.sleep(60)
"""


def test_a_killed_starter_takes_it_along() -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert starter.stdout
    pid = next(int(line) for line in starter.stdout if line.strip().isdigit())
    assert is_alive(pid)
    starter.kill()
    starter.communicate()
    wait_until(lambda: not is_alive(pid), 10, "the tied process ended")


def test_released_it_ends_by_sigterm() -> None:
    tied = lifeline.tie([sys.executable, "-c", TIED], stdout=subprocess.PIPE, cwd=ROOT)
    assert tied.process.stdout and tied.process.stdout.readline()
    tied.release()
    assert tied.process.wait(10) == -15
    tied.process.stdout.close()


def test_one_that_ignores_sigterm_is_ended_all_the_same() -> None:
    tied = lifeline.tie([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, cwd=ROOT)
    assert tied.process.stdout and tied.process.stdout.readline()
    tied.release()
    assert tied.process.wait(10) == lifeline.HARD_EXIT
    tied.process.stdout.close()
