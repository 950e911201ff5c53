"""What a child does before it claims: it says what it is, and ends when nobody lets it go on."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ironforge.worker import control
from ironforge.worker.started import Child
from ironforge.worker.supervisor import Supervisor, WorkerOptions
from tests.system.processes import environment

TASKS = "tests.system.tasks_forge:forge"


@pytest.fixture(autouse=True)
def surroundings(redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(redis_url, namespace, LEDGER=str(tmp_path / "ledger")).items():
        monkeypatch.setenv(name, value)


@contextmanager
def _child(target: str = TASKS) -> Generator[Child]:
    child = Child.start(
        lambda fd, board_fd: control.ChildOrder(
            fd, board_fd, target, 2, ("default",), 1.0, 0.2, "info", "json"
        ),
        2,
    )
    child.channel.settimeout(40)
    try:
        yield child
    finally:
        child.end()
        child.wait()
        child.forget()


def test_one_whose_supervisor_is_gone_before_it_may_claim_ends_well() -> None:
    with _child() as child:
        said = control.receive(child.channel)
        assert said and "quick" in said["hello"]["kinds"]
        child.channel.shutdown(2)
        assert child.wait() == control.DONE


def test_one_whose_module_does_not_load_says_why() -> None:
    with _child("tests.nowhere:forge") as child:
        said = control.receive(child.channel)
        assert said and "tests.nowhere" in said["error"]
        assert child.wait() == control.MISUSED


def test_asked_to_end_while_its_module_loads_it_ends_well() -> None:
    with _child() as child:
        child.channel.settimeout(40)
        control.receive(child.channel)
        child.tied.process.send_signal(signal.SIGTERM)
        assert child.wait() == control.DONE


def test_a_child_that_dies_in_its_handshake_is_heard_as_gone() -> None:
    """What it was told and did not read makes that an error of the channel, not its end."""
    supervisor = Supervisor(WorkerOptions(TASKS))
    with _child() as child:
        control.receive(child.channel)
        control.send(child.channel, {"never": "read"})
        child.tied.process.kill()
        child.wait()
        assert supervisor._hear(child) is None  # pyright: ignore[reportPrivateUsage]
