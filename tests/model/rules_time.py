"""Rules of time: steps of the clock, most of them to just before, onto or just after something that is due."""

from __future__ import annotations

from tests.model.choices import Choices, chance, pick
from tests.model.machine import START_US, Machine

LEASE_MS = 15_000
STEPS_MS = (
    1, 0, 1, 1_000, 2_000, 3_000, LEASE_MS - 1, LEASE_MS, LEASE_MS + 1, 3_600_000, 90_000_000, -1, -4_000, -60_000,
)  # fmt: skip
_NEAR_MS = 20_000
_YEAR_US = 366 * 86_400_000_000


def clock(machine: Machine, choices: Choices) -> None:
    ms = pick(choices, STEPS_MS)
    _move(machine, ms * 1000 + pick(choices, (0, 1, 999)))


def boundary(machine: Machine, choices: Choices) -> None:
    """To one millisecond around a time that means something to some job, worker or key."""
    model = machine.model
    ahead = sorted(time for time in _times(machine) if time > model.now_ms - 5_000)
    near = [time for time in ahead if time <= model.now_ms + _NEAR_MS]
    if ahead:
        chosen = near if near and not chance(choices, 20) else ahead
        target_ms = pick(choices, chosen) + pick(choices, (0, -1, 1))
        _move(machine, target_ms * 1000 - model.now_us)


def _times(machine: Machine) -> set[int]:
    model = machine.model
    found = {
        job.place
        for job in model.jobs.values()
        if job.status in ("scheduled", "retrying", "completed", "cancelled")
    }
    found |= {worker.expiry_ms for worker in model.workers.values()}
    found |= {ending.over_ms for ending in (*model.strings.values(), *model.slots.values())}
    if last := model.meta.get(b"reap_tick"):
        found |= {int(model.meta[b"reap_after"]), int(last) + 5_000}
    return found


def _move(machine: Machine, us: int) -> None:
    us = max(us, START_US - _YEAR_US - machine.model.now_us)
    if us:
        machine.tell(f"clock {us / 1000:+.3f} ms")
        machine.move_clock(us)
