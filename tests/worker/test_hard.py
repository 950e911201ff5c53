"""Handlers that raise what nobody expects, do not end, block the loop, or end their process: no job is lost or stuck."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import check_books
from tests.system.bench import Bench, ended, is_running, times
from tests.system.processes import is_alive
from tests.waiting import eventually, wait_until

TARGET = "tests.worker.hard_tasks:forge"


async def test_whatever_a_handler_raises_its_job_ends(queue: RedisQueue, bench: Bench) -> None:
    bench.worker(target=TARGET)
    raised = [("raises", what) for what in ("base", "generator", "cancelled", "keyboard")]
    raised += [("thread.raises", what) for what in ("stop", "base")]
    jobs = await queue.enqueue_many(
        [NewJob(kind, b'{"what":"%s"}' % what.encode(), max_retries=0) for kind, what in raised]
    )
    found = await ended(queue, jobs, 10)
    assert [job.last_error.message for job in found if job.last_error] == [
        "the handler raised NoException", "the handler raised GeneratorExit", "the handler cancelled itself",
        "the handler raised KeyboardInterrupt", "the handler raised StopIteration", "the handler raised NoException",
    ]  # fmt: skip
    assert {job.status for job in found} == {JobStatus.DEAD}
    await check_books(queue)


async def test_a_thread_that_does_not_end_keeps_its_slot_until_its_worker_is_replaced(
    queue: RedisQueue, bench: Bench
) -> None:
    bench.worker("--concurrency", "2", "--grace", "0.3", target=TARGET)
    deaf = await queue.enqueue_many(
        [NewJob("thread.deaf", b'{"mark":%d,"s":60}' % at, max_retries=0) for at in range(2)]
    )
    quick = await queue.enqueue(NewJob("thread.quick", b'{"mark":9}', timeout_ms=2_000))
    found = await ended(queue, [*deaf, quick], 15)
    assert [job.last_error.type for job in found[:2] if job.last_error] == ["TimeLimitExceeded"] * 2
    assert found[2].status is JobStatus.COMPLETED
    assert times(found, "completed") == [0, 0, 1] and times(found, "failed") == [1, 1, 0], (
        "it never waited for a thread while its own time ran"
    )
    await check_books(queue)


async def test_a_handler_that_blocks_the_loop_fails_at_its_limit_and_its_neighbours_are_not_charged(
    queue: RedisQueue, bench: Bench
) -> None:
    bench.worker("--grace", "0.5", target=TARGET)
    await queue.enqueue(NewJob("nap", b'{"mark":0,"s":0}'))
    neighbour = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":1}'))
    await eventually(lambda: len(bench.lines("start")) == 2, 15)
    blocker = await queue.enqueue(NewJob("blocks", b'{"mark":2}', timeout_ms=4_000, max_retries=1))

    async def shown() -> bool:
        blocked = [worker.blocked for worker in await queue.workers() if worker.blocked]
        return any(one["job_id"] == blocker.id and "time.sleep" in one["stack"] for one in blocked)

    await eventually(shown, 10, "what blocks the worker")

    async def failed() -> bool:
        return (await queue.get(blocker.id)).status is JobStatus.RETRYING

    await eventually(failed, 10, "it failed")
    found = await queue.get(blocker.id)
    assert (found.retry_count, found.crashes, found.lapses) == (1, 0, 0)
    assert found.last_error and found.last_error.type == "TimeLimitExceeded"
    assert "in blocks" in found.last_error.traceback
    await queue.cancel(blocker.id)
    (found,) = await ended(queue, [neighbour], 10)
    assert (found.status, found.retry_count, found.crashes) == (JobStatus.COMPLETED, 0, 0)
    await check_books(queue)


async def test_c_code_that_keeps_the_interpreter_is_named_and_ended_too(
    queue: RedisQueue, bench: Bench
) -> None:
    """Nothing of Python runs in that process meanwhile: its stack is read from outside."""
    bench.worker("--grace", "0.5", target=TARGET)
    job = await queue.enqueue(NewJob("blocks.gil", b'{"mark":1}', max_retries=0, timeout_ms=7_000))
    await eventually(lambda: bench.lines("start"), 15, "it runs")

    async def shown() -> float | None:
        blocked = [worker.blocked for worker in await queue.workers() if worker.blocked]
        named = any(one["job_id"] == job.id and "in blocks_gil" in one["stack"] for one in blocked)
        return time.monotonic() if named else None

    named_at = await eventually(shown, 15, "what blocks the worker")
    assert named_at and named_at - float(bench.lines("start")[0][3]) < 5

    async def silent() -> bool:
        return any((worker.beat_age_s or 0) > 1.5 for worker in await queue.workers() if worker.blocked)

    await eventually(silent, 10, "its beat grows old, although others tell of it")
    (dead,) = await ended(queue, [job], 15)
    assert dead.last_error and dead.last_error.type == "TimeLimitExceeded" and dead.crashes == 0
    assert 're.match(r"(a+)+$"' in dead.last_error.traceback, "the line of code"
    after = await queue.enqueue(NewJob("thread.quick", b'{"mark":2}'))
    assert (await ended(queue, [after], 15))[0].status is JobStatus.COMPLETED


@pytest.mark.parametrize("code", [0, 76])
async def test_a_handler_that_ends_its_process_with_a_friendly_code_is_a_crash_all_the_same(
    queue: RedisQueue, bench: Bench, code: int
) -> None:
    bench.worker(target=TARGET)
    job = await queue.enqueue(NewJob("leaves", b'{"code":%d}' % code))
    (dead,) = await ended(queue, [job], 20)
    assert (dead.reason, dead.crashes) == ("worker_lost", 3) and len(bench.lines("left")) == 3


async def test_whatever_a_process_handler_started_ends_with_it(queue: RedisQueue, bench: Bench) -> None:
    bench.worker(target=TARGET)
    job = await queue.enqueue(NewJob("process.starts", b'{"mark":1}'))
    await eventually(lambda: bench.lines("started"), 15, "it started a program")
    started = int(bench.lines("started")[0][1])
    await queue.cancel(job.id)
    (cancelled,) = await ended(queue, [job], 10)
    assert cancelled.status is JobStatus.CANCELLED
    wait_until(lambda: not is_alive(started), 5, "the program ended with it")


async def test_a_handler_that_swallows_a_persons_cancel_gives_its_slot_back(
    queue: RedisQueue, bench: Bench
) -> None:
    bench.worker("--concurrency", "1", "--grace", "0.5")
    stubborn = await queue.enqueue(NewJob("stubborn", b'{"mark":1}', timeout_ms=600_000))
    await is_running(queue, stubborn)
    await queue.cancel(stubborn.id)
    asked_ms = await queue.now_ms()
    quick = await queue.enqueue(NewJob("quick", b'{"mark":2}'))
    cancelled, done = await ended(queue, [stubborn, quick], 15)
    assert (cancelled.status, done.status) == (JobStatus.CANCELLED, JobStatus.COMPLETED)
    assert cancelled.finished_ms and cancelled.finished_ms - asked_ms < 5_500


@pytest.mark.parametrize(("how", "told"), [("memory", "exit code 137"), ("segfault", "signal SIGSEGV")])
async def test_out_of_memory_or_a_bad_pointer_is_a_poison_pill_too(
    queue: RedisQueue, bench: Bench, how: str, told: str
) -> None:
    bench.worker("--concurrency", "20", target="tests.chaos.recovery_tasks:forge")
    naps = [NewJob("nap", b'{"mark":%d,"s":0.05}' % mark) for mark in range(8)]
    pill = NewJob("pill", b'{"mark":99,"how":"%s"}' % how.encode())
    dead, *others = await ended(queue, await queue.enqueue_many([pill, *naps]), 30)
    assert (dead.status, dead.reason, dead.crashes, len(bench.lines("pill"))) == (
        JobStatus.DEAD,
        "worker_lost",
        3,
        3,
    )
    assert dead.last_error and told in dead.last_error.message
    assert {(job.status, job.retry_count) for job in others} == {(JobStatus.COMPLETED, 0)}
    assert max(job.crashes for job in others) <= 2
    await check_books(queue)


async def test_errors_and_results_of_processes_arrive_whole(queue: RedisQueue, bench: Bench) -> None:
    bench.worker("--concurrency", "2", target=TARGET)
    again = await queue.enqueue(NewJob("process.again"))
    raises = await queue.enqueue(NewJob("process.raises", b'{"order":17}', max_retries=0))
    discards, of_a_loop = await queue.enqueue_many([NewJob("process.discards"), NewJob("process.async")])
    whats = (b"big", b"nan", b"text", b"int")
    results = await queue.enqueue_many(
        [NewJob("process.result", b'{"what":"%s"}' % what, max_retries=0) for what in whats]
    )
    found = await ended(queue, results, 20)
    assert [job.status for job in found] == [JobStatus.COMPLETED] * 4
    assert [job.result for job in found[:3]] == ["(a result of 6,000,002 bytes was not kept)", "nan", "é\n"]
    (dead,) = await ended(queue, [raises], 20)
    assert dead.last_error and (dead.last_error.type, dead.last_error.message) == (
        "ConnectionError", "order 17 was refused",
    )  # fmt: skip
    assert "in _charge" in dead.last_error.traceback and "ironforge/worker" not in dead.last_error.traceback

    discarded, done = await ended(queue, [discards, of_a_loop], 20)
    assert (discarded.status, discarded.reason, discarded.retry_count) == (JobStatus.DEAD, "discarded", 0)
    assert done.result == "on a loop of its own"

    async def waits() -> bool:
        return (await queue.get(again.id)).status is JobStatus.RETRYING

    await eventually(waits, 10)
    found_again = await queue.get(again.id)
    assert found_again.run_at_ms and found_again.run_at_ms - found_again.attempts[-1].finished_ms == 60_000


async def test_an_idle_process_that_dies_is_nobodys_fault(queue: RedisQueue, bench: Bench) -> None:
    bench.worker()
    first = await queue.enqueue(NewJob("process.nap", b'{"mark":1}'))
    (found,) = await ended(queue, [first], 15)
    os.kill(int(found.result), signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{found.result}").exists(), 10, "its worker saw it end")
    second = await queue.enqueue(NewJob("process.nap", b'{"mark":2}', max_retries=0))
    (found,) = await ended(queue, [second], 15)
    assert found.status is JobStatus.COMPLETED
