"""The page that a child shares with its supervisor, and what the supervisor reads out of it."""

from __future__ import annotations

import asyncio

import pytest

from ironforge import Forge
from ironforge.errors import ConfigError
from ironforge.worker import watchdog
from ironforge.worker.blockage import Blockage, judge
from ironforge.worker.board import Board, BoardReading, SlotReading
from ironforge.worker.processes import check_importable
from ironforge.worker.stacks import stack_of_dump
from tests.waiting import eventually, wait_until

LATE = SlotReading("late", ends_at=90.0, limit_s=5)
FRESH = SlotReading("fresh", ends_at=200.0, limit_s=150)
ID = "019ab1c2-6d1f-7000-8a2b-3c4d5e6f7081"


def _page(*runs: SlotReading, turned_at: float = 95.0, blocker: SlotReading | None = None) -> BoardReading:
    return BoardReading(turned_at, False, False, runs, blocker, "stack")


@pytest.mark.parametrize(
    ("page", "judged"),
    [
        (_page(LATE, turned_at=99.0), None),
        (_page(LATE, turned_at=0.0), None),
        (_page(LATE), Blockage("late", 5, "stack", True, (LATE,))),
        (_page(FRESH), Blockage("fresh", 5, "stack", False, ())),
        (_page(FRESH, LATE), Blockage(None, 5, "stack", True, (LATE,))),
        (_page(FRESH, LATE, blocker=FRESH), Blockage("fresh", 5, "stack", False, ())),
        (_page(FRESH, LATE, blocker=LATE), Blockage("late", 5, "stack", True, (LATE,))),
        (_page(), Blockage(None, 5, "stack", False, ())),
        (_page(turned_at=30.0), Blockage(None, 70, "stack", True, ())),
    ],
    ids=["turns", "has not begun", "one late", "one in time", "which one is not known", "the blocker is in time",
         "the blocker is late", "runs nothing", "runs nothing for long"],
)  # fmt: skip
def test_what_is_made_of_a_loop_that_does_not_turn(page: BoardReading, judged: Blockage | None) -> None:
    assert judge(page, now=100.0, grace_s=5.0) == judged


def test_grace_is_given() -> None:
    judged = judge(_page(LATE), now=94.0 + 4.0, grace_s=9.0)
    assert judged and not judged.end


def test_what_one_process_writes_another_reads() -> None:
    writer = Board.make(3)
    reader = Board(writer.fd, 3)
    assert reader.read() == BoardReading(0.0, False, False, (), None, "")
    writer.turned(12.5)
    writer.begin(1, ID, 99.0, 30.0)
    writer.begin(2, "x" * 36, 50.0, 10.0)
    writer.end(2)
    run = SlotReading(ID, 99.0, 30.0)
    assert reader.read() == BoardReading(12.5, False, False, (run,), None, "")
    writer.blocked(12.5, 1, "é" * 4_000)
    found = reader.read()
    assert found.blocker == run and set(found.stack) == {"é"}
    writer.blocked(12.5, None, "nobody's")
    assert (reader.read().blocker, reader.read().stack) == (None, "nobody's")
    writer.unblocked()
    writer.leave(recycling=True)
    assert reader.read() == BoardReading(12.5, True, True, (run,), None, "")
    writer.close()


async def test_a_watchdog_tells_what_blocks_its_loop_and_when_that_is_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "TURN_S", 0.05)
    monkeypatch.setattr(watchdog, "BLOCKED_S", 0.2)
    board, seen = Board.make(2), list[BoardReading]()
    dog = watchdog.Watchdog(board, {"job a": 1}.get)
    await eventually(lambda: board.read().turned_at, 5)

    async def handler() -> None:
        board.begin(1, ID, 99.0, 30.0)
        wait_until(lambda: board.read().stack, 10, "it is told while it blocks")
        seen.append(board.read())

    await asyncio.create_task(handler(), name="job a")
    (told,) = seen
    assert told.blocker and told.blocker.job_id == ID and "in handler" in told.stack
    await eventually(lambda: not board.read().stack, 5, "it is over")
    assert board.read().blocker is None and "the loop turns again" in caplog.text
    assert board.read().turned_at > told.turned_at
    dog.stop()
    board.close()


def test_the_stack_of_a_dump_reads_like_a_traceback() -> None:
    dump = (
        "Current thread 0x00007f (most recent call first):\n"
        f'  File "{__file__}", line 1 in inner\n  File "{__file__}", line 3 in outer\n'
        f'  File "{watchdog.__file__}", line 9 in ours\n  File "/usr/lib/python3/asyncio/base_events.py", line 7 in run\n'
        "  ...\n"
    )
    assert stack_of_dump(dump) == (
        f'  File "{__file__}", line 3, in outer\n    from __future__ import annotations\n'
        f'  File "{__file__}", line 1, in inner\n'
        '    """The page that a child shares with its supervisor, and what the supervisor reads out of it."""\n'
    )
    assert stack_of_dump("") == ""


def test_a_process_handler_that_no_other_process_could_find_is_refused() -> None:
    forge = Forge()

    @forge.task("local", process=True)
    def local() -> None: ...

    with pytest.raises(ConfigError, match=r"local.*top level"):
        check_importable(forge.tasks)
    assert local() is None


def test_one_at_the_top_level_is_fine() -> None:
    from tests.system import tasks_forge

    check_importable(tasks_forge.forge.tasks)
