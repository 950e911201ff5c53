"""What a supervisor makes of one child: when it ends it, and whether an end was meant. The process is real, its page is written here."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from ironforge import lifeline
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.worker import control
from ironforge.worker.board import Board, SlotReading
from ironforge.worker.failure import fail_blocker
from ironforge.worker.keeper import _Lookout  # pyright: ignore[reportPrivateUsage]
from ironforge.worker.stacks import stack_of_frame
from ironforge.worker.started import Child, end_words
from tests.queue.state import Lane, check_books
from tests.waiting import wait_until

ID = "019ab1c2-6d1f-7000-8a2b-3c4d5e6f7081"
GRACE_S = 5.0


@pytest.fixture
def child() -> Iterator[Child]:
    ours, theirs = socket.socketpair()
    tied = lifeline.tie([sys.executable, "-c", "import signal; signal.pause()"], stdin=subprocess.DEVNULL)
    child = Child("w", tied, ours, Board.make(4), claims=True)
    yield child
    child.end()
    child.wait()
    child.forget()
    theirs.close()


def _block(child: Child, since_s: float = 10.0, over_s: float = 6.0) -> None:
    """Its loop has not turned for so long, and the time of its job is over for so long."""
    child.board.turned(time.monotonic() - since_s)
    child.board.begin(0, ID, time.monotonic() - over_s, 1.0)


async def test_one_that_is_blocked_is_ended_at_the_second_look(child: Child) -> None:
    """A host that stood still for a minute must not blame anybody for it."""
    _block(child)
    assert not await child.look(GRACE_S)
    assert child.tied.process.poll() is None and child.blockage and child.blockage.end
    assert child.rss_bytes > 0, "its memory is looked at too"
    assert await child.look(GRACE_S)
    assert child.wait() == -signal.SIGKILL
    assert [run.job_id for run in child.blamed] == [ID]
    assert child.ended_on_purpose(-signal.SIGKILL, stopping=False)
    assert not await child.look(GRACE_S), "it is looked at no more"


async def test_one_that_turned_between_two_looks_is_let_alone(child: Child) -> None:
    _block(child)
    await child.look(GRACE_S)
    child.board.turned(time.monotonic())
    assert not await child.look(GRACE_S)
    _block(child)
    assert not await child.look(GRACE_S)
    assert child.tied.process.poll() is None


async def test_one_that_takes_no_stack_signal_is_not_sent_one(child: Child) -> None:
    """It would end the process."""
    _block(child, over_s=0)
    for _ in range(2):
        assert not await child.look(GRACE_S)
    child.tied.process.send_signal(signal.SIGUSR1)
    assert child.wait() == -signal.SIGUSR1, "it had lived until then"


async def test_one_that_recycles_itself_may_be_replaced(child: Child) -> None:
    await child.look(GRACE_S)
    assert not child.replaceable.is_set()
    child.board.leave(recycling=True)
    await child.look(GRACE_S)
    assert child.replaceable.is_set()


@pytest.mark.parametrize(
    ("code", "stopping", "turned", "leaving", "meant"),
    [
        (control.DONE, False, False, False, True),
        (control.DONE, False, True, False, False),
        (control.DONE, True, True, False, False),
        (control.DONE, False, True, True, True),
        (control.RECYCLE, False, False, False, False),
        (control.RECYCLE, False, True, True, True),
        (control.LEASE_LOST, False, True, False, False),
        (control.LEASE_LOST, False, True, True, True),
        (1, False, True, True, False),
        (-signal.SIGTERM, True, True, False, True),
        (-signal.SIGTERM, False, True, False, False),
        (-signal.SIGKILL, True, True, True, False),
    ],
)
def test_which_ends_are_meant(
    child: Child, code: int, stopping: bool, turned: bool, leaving: bool, meant: bool
) -> None:
    """A handler can end its process with any code; only one that was leaving, or never began, meant to end."""
    if turned:
        child.board.turned(1.0)
    if leaving:
        child.board.leave(recycling=False)
    assert child.ended_on_purpose(code, stopping=stopping) is meant


async def test_only_a_job_that_still_runs_there_is_blamed(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    lane = await Lane(queue).register()
    (claimed,) = await lane.claim()
    blamed = SlotReading(job.id, 1.0, 1.0)
    await fail_blocker(queue, "another", blamed, "", {})
    assert (await queue.get(job.id)).status is JobStatus.RUNNING
    await fail_blocker(queue, "w1", SlotReading(ID, 1.0, 1.0), "", {})  # nothing of that name
    await lane.settle(claimed, "completed")
    await fail_blocker(queue, "w1", blamed, "", {})
    assert (await queue.get(job.id)).status is JobStatus.COMPLETED
    await check_books(queue)


async def test_it_fails_with_its_stack_and_by_its_own_back_off(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await (await Lane(queue).register()).claim()
    policies = {"greet": '{"base_s": 100, "cap_s": 1000, "jitter": 0}'}
    await fail_blocker(queue, "w1", SlotReading(job.id, 1.0, 7.0), "  File x, in greet\n", policies)
    found = await queue.get(job.id)
    assert (found.status, found.retry_count) == (JobStatus.RETRYING, 1)
    assert found.last_error and "7 s" in found.last_error.message and "in greet" in found.last_error.traceback
    assert (found.run_at_ms or 0) - found.attempts[0].finished_ms == 100_000


async def test_a_keeper_too_looks_twice_and_gives_up_once(queue: RedisQueue) -> None:
    job = await queue.enqueue(NewJob("greet", max_retries=0))
    beside = await queue.enqueue(NewJob("greet"))
    await (await Lane(queue).register()).claim(2)
    board = Board.make(4)
    about = {"wid": "w1", "board_fd": board.fd, "slots": 4, "grace_s": 0.0, "policies": {}, "pid": 1}
    lookout = _Lookout(queue, about)
    board.turned(time.monotonic() - 10)
    board.begin(0, job.id, time.monotonic() - 1, 1.0)
    board.begin(1, beside.id, time.monotonic() + 60, 60.0)
    await lookout.look()
    assert [(worker.id, bool(worker.blocked)) for worker in await queue.workers()] == [("w1", True)]
    await lookout.look()
    assert await queue.workers() == []
    assert (await queue.get(job.id)).status is JobStatus.DEAD
    found = await queue.get(beside.id)
    assert (found.status, found.attempts[0].outcome) == (JobStatus.QUEUED, "released")
    assert found.attempts[0].error and "its program is blocked" in found.attempts[0].error.message
    await (await Lane(queue).register()).claim()
    await lookout.look()
    assert len(await queue.workers()) == 1, "it gave that registration up for good"
    board.close()
    await check_books(queue)


def test_what_is_read_of_a_process_that_is_gone(child: Child) -> None:
    child.board.begin(0, ID, 1.0, 1.0)
    child.tied.process.kill()
    wait_until(lambda: child.wait() == -signal.SIGKILL, 5)
    crash = child.crash(-signal.SIGKILL)
    assert (crash["signal"], crash["exit_code"], crash["jobs"], crash["jobs_at_once"]) == (
        "SIGKILL",
        None,
        [ID],
        1,
    )
    assert crash["rss_bytes"] > 1_000_000, "the most it had"


@pytest.mark.parametrize(("claims", "step"), [(True, 3), (False, 1)])
def test_the_third_step_and_any_before_it_claims_end_it(child: Child, claims: bool, step: int) -> None:
    child.claims = claims
    child.stop(step)
    assert child.wait() == -signal.SIGKILL and child.ended_by_us
    child.stop(1)
    child.stop(3)  # gone already


def test_one_that_claims_is_told_first(child: Child) -> None:
    child.stop(2)
    assert child.tied.process.poll() is None and not child.ended_by_us


def test_a_word_to_one_that_is_gone_is_no_error(child: Child) -> None:
    child.channel.shutdown(socket.SHUT_WR)
    child.stop(1)
    assert not child.ended_by_us


def test_its_end_may_have_been_seen_by_another_thread(child: Child) -> None:
    child.end()
    wait_until(lambda: child.tied.process.poll() is not None, 5)
    assert child.wait() == -signal.SIGKILL


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert (end_words(-99), end_words(-9), end_words(3)) == ("signal 99", "signal SIGKILL", "exit code 3")


def test_no_frame_is_no_stack() -> None:
    assert stack_of_frame(None) == ""
