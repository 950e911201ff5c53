"""Mistakes of the scripts that the machine found, each as the shortest sequence that shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model.machine import Machine
from tests.model.scene import Scene, job_id
from tests.model.wire import Wire

DAY_MS = 86_400_000


@pytest.fixture
def scene(url: str) -> Iterator[Scene]:
    wire = Wire(url)
    yield Scene(Machine(wire))
    wire.close()


def test_a_submitter_held_up_for_a_day_does_not_confirm_the_key_of_another(scene: Scene) -> None:
    scene.reserve("key", 1)
    scene.wait_ms(DAY_MS)
    scene.reserve("key", 2)
    scene.confirm("key", 1)
    assert scene.machine.mirror.keys[b"idem:key"] == f"pending|h|{job_id(2)}".encode()


def test_a_crash_counts_also_on_a_job_that_was_asked_to_cancel(scene: Scene) -> None:
    scene.enqueue(1)
    scene.register("w1")
    scene.claim("w1")
    scene.cancel(1)
    scene.crash("w1")
    job = scene.machine.mirror.keys[f"job:{job_id(1)}".encode()]
    assert (job[b"status"], job[b"crashes"]) == (b"cancelled", b"1")


def test_a_claim_that_takes_what_it_promoted_wakes_nobody(scene: Scene) -> None:
    scene.enqueue(1, delay_ms=60_000)
    scene.register("w1")
    scene.wait_ms(60_000)
    scene.claim("w1", 2)
    assert b"q:default:wake" not in scene.machine.mirror.keys
