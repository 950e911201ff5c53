"""Workers as processes: what they run, how they stop, and what is left when they are killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import check_books
from tests.system.bench import Bench, ended, is_running, times
from tests.system.processes import await_text, children_of, free_port, is_alive, stop
from tests.waiting import eventually, wait_until


@pytest.fixture
def bench(redis_url: str, namespace: str, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(redis_url, namespace, tmp_path)
    yield bench
    bench.close()


async def test_every_form_of_handler(queue: RedisQueue, bench: Bench) -> None:
    bench.worker()
    jobs = await queue.enqueue_many(
        [
            NewJob("quick", b'{"mark":7}'),
            NewJob("thread.nap", b'{"mark":1,"s":0}'),
            NewJob("process.nap", b'{"mark":2}'),
        ]
    )
    quick, thread, process = await ended(queue, jobs)
    assert (quick.result, thread.result) == (7, "thread")
    assert process.result not in (None, int(bench.lines("ran")[0][2])), "a process of its own"
    await check_books(queue)


async def test_failures_wait_2_4_8_seconds_and_then_the_job_is_dead(queue: RedisQueue, bench: Bench) -> None:
    bench.worker()
    job = await queue.enqueue(NewJob("flaky"))
    for failure, wait_s in enumerate((2, 4, 8), start=1):

        async def retrying(failure: int = failure) -> Job | None:
            found = await queue.get(job.id)
            return found if found.status is JobStatus.RETRYING and found.retry_count == failure else None

        found = await eventually(retrying, 10, f"failure {failure}")
        assert found and found.run_at_ms
        waits_ms = found.run_at_ms - found.attempts[-1].finished_ms
        assert wait_s * 1000 <= waits_ms <= wait_s * 1100
        await queue.run_now(job.id)
    (dead,) = await ended(queue, [job])
    assert (dead.status, dead.retry_count, dead.reason) == (JobStatus.DEAD, 3, "retries_spent")
    assert times([dead], "failed") == [4] and dead.last_error and "no route" in dead.last_error.message
    assert "tasks_forge.py" in dead.last_error.traceback and "worker/run.py" not in dead.last_error.traceback


async def test_a_handler_chooses_its_outcome(queue: RedisQueue, bench: Bench) -> None:
    bench.worker()
    later = await queue.enqueue(NewJob("again", b'{"delay":60}'))
    never = await queue.enqueue(NewJob("never"))
    wrong = await queue.enqueue(NewJob("again", b'{"nonsense":1}', max_retries=0))
    dead, misfit = await ended(queue, [never, wrong])
    assert (dead.status, dead.reason, dead.retry_count) == (JobStatus.DEAD, "discarded", 0)
    assert (
        misfit.last_error
        and misfit.last_error.type == "InvalidPayload"
        and "/delay" in misfit.last_error.message
    )

    async def waits() -> bool:
        return (await queue.get(later.id)).status is JobStatus.RETRYING

    await eventually(waits)
    found = await queue.get(later.id)
    assert found.run_at_ms and found.run_at_ms - found.attempts[-1].finished_ms == 60_000


async def test_hostile_errors_and_results_settle(queue: RedisQueue, bench: Bench) -> None:
    bench.worker()
    hows = ("str", "huge", "result", "surrogate", "exit")
    jobs = await queue.enqueue_many(
        [NewJob("hostile", b'{"how":"%s"}' % how.encode(), max_retries=0) for how in hows]
    )
    found = await ended(queue, jobs)
    assert [job.status.value for job in found] == ["dead", "dead", "completed", "dead", "dead"]
    assert all(len(job.last_error.message) < 10_000 for job in found if job.last_error)
    assert "Traceback" not in bench.log()


@pytest.mark.parametrize("kind", ["slow", "slow.process", "stubborn"])
async def test_the_time_limit_ends_every_form(queue: RedisQueue, bench: Bench, kind: str) -> None:
    bench.worker("--concurrency", "1", "--grace", "0.5", "--shutdown-timeout", "1")
    payload = b'{"mark":1}' if kind == "stubborn" else b"{}"
    job = await queue.enqueue(NewJob(kind, payload, max_retries=0))
    (dead,) = await ended(queue, [job], 20)
    assert dead.last_error and dead.last_error.type == "TimeLimitExceeded"
    assert dead.crashes == 0
    after = await queue.enqueue(NewJob("quick"))
    assert (await ended(queue, [after], 20))[0].status is JobStatus.COMPLETED, "the slot is back"
    assert "lease" not in bench.log(), "a stuck child ended by itself, and was not found dead"


async def test_a_cancel_reaches_the_handler_within_two_seconds(queue: RedisQueue, bench: Bench) -> None:
    bench.worker()
    kinds = (
        (b'{"mark":1,"s":30}', "nap"),
        (b'{"mark":2,"s":30}', "thread.nap"),
        (b'{"mark":3,"s":30}', "process.nap"),
    )
    jobs = await queue.enqueue_many([NewJob(kind, payload) for payload, kind in kinds])
    await eventually(lambda: len(bench.lines("start")) == 3, 15, "all three run")
    for job in jobs:
        await queue.cancel(job.id)
    asked_ms = await queue.now_ms()
    found = await ended(queue, jobs, 10)
    assert [job.status for job in found] == [JobStatus.CANCELLED] * 3
    assert all(job.finished_ms is not None and job.finished_ms - asked_ms < 2000 for job in found)
    await eventually(lambda: bench.lines("end"), 5, "the thread saw it")
    assert [line[1] for line in bench.lines("end")] == ["2"], "the others were ended"


async def test_never_more_at_once_than_the_concurrency(queue: RedisQueue, bench: Bench) -> None:
    jobs = await queue.enqueue_many([NewJob("nap", b'{"mark":%d,"s":0.1}' % at) for at in range(25)])
    bench.worker("--concurrency", "5")
    await ended(queue, jobs)
    events = sorted((float(line[3]), line[0]) for word in ("start", "end") for line in bench.lines(word))
    at_once = most = 0
    for _, word in events:
        at_once += 1 if word == "start" else -1
        most = max(most, at_once)
    assert most == 5


async def test_a_thousand_jobs_at_concurrency_1_run_in_submission_order(
    queue: RedisQueue, bench: Bench
) -> None:
    jobs = await queue.enqueue_many([NewJob("quick", b'{"mark":%d}' % at) for at in range(1000)])
    bench.worker("--concurrency", "1")
    await ended(queue, jobs, 60)
    assert [int(line[1]) for line in bench.lines("ran")] == list(range(1000))


async def test_a_lock_is_held_by_one_job_over_all_workers(queue: RedisQueue, bench: Bench) -> None:
    bench.worker("--processes", "2")
    jobs = await queue.enqueue_many([NewJob("locked", b'{"mark":%d}' % at) for at in range(8)])
    await ended(queue, jobs, 40)
    events = [line[0] for line in map(str.split, bench.ledger.read_text().splitlines())]
    assert events == ["enter", "leave"] * 8


async def test_progress_is_shown_while_it_runs(queue: RedisQueue, bench: Bench) -> None:
    bench.worker()
    job = await queue.enqueue(NewJob("steps"))

    async def shown() -> bool:
        return (await queue.get(job.id)).progress == {"fraction": 0.5, "message": "half way"}

    await eventually(shown, 10, "its progress")


async def test_a_killed_child_loses_nothing_and_nothing_is_twice_in_the_books(
    queue: RedisQueue, bench: Bench
) -> None:
    supervisor = bench.worker("--processes", "2", "--concurrency", "5")
    jobs = await queue.enqueue_many([NewJob("nap", b'{"mark":%d,"s":0.2}' % at) for at in range(60)])
    for kills in range(1, 4):
        await eventually(lambda kills=kills: len(bench.lines("end")) > kills * 8, 20, "some jobs ended")
        os.kill(children_of(supervisor.pid)[0], signal.SIGKILL)
        await eventually(lambda: len(children_of(supervisor.pid)) == 2, 15, "it is replaced")
    found = await ended(queue, jobs, 60)
    assert [job.status for job in found] == [JobStatus.COMPLETED] * 60
    assert times(found, "completed") == [1] * 60
    assert sum(job.crashes for job in found) > 0 and all(job.retry_count == 0 for job in found)
    crashed = next(job for job in found if job.crashes)
    assert crashed.last_error and "SIGKILL" in crashed.last_error.message
    workers = await queue.workers()
    assert any(worker.last_crash and worker.last_crash["ended"] == "signal SIGKILL" for worker in workers)
    await check_books(queue)


async def test_a_poison_pill_is_dead_after_three_crashes_and_its_neighbours_live(
    queue: RedisQueue, bench: Bench
) -> None:
    bench.worker("--concurrency", "10")
    pill = await queue.enqueue(NewJob("poison"))
    others = await queue.enqueue_many([NewJob("nap", b'{"mark":%d,"s":0.05}' % at) for at in range(50)])
    (dead,) = await ended(queue, [pill], 60)
    assert (dead.status, dead.reason, dead.crashes) == (JobStatus.DEAD, "worker_lost", 3)
    assert len(bench.lines("poison")) == 3
    found = await ended(queue, others, 60)
    assert Counter(job.status for job in found) == {JobStatus.COMPLETED: 50}
    assert all(job.retry_count == 0 and job.crashes <= 2 for job in found)
    await check_books(queue)


async def test_sigterm_lets_jobs_finish_and_leaves_nothing_running(queue: RedisQueue, bench: Bench) -> None:
    supervisor = bench.worker("--concurrency", "5")
    jobs = await queue.enqueue_many([NewJob("nap", b'{"mark":%d,"s":0.5}' % at) for at in range(12)])
    await eventually(lambda: len(bench.lines("start")) >= 5, 15)
    assert stop(supervisor) == 0
    found = await queue.get_many([job.id for job in jobs])
    counts = Counter(job.status for job in found if job)
    assert counts[JobStatus.RUNNING] == 0 and counts[JobStatus.COMPLETED] >= 5
    assert all((job.retry_count, job.crashes, job.lapses) == (0, 0, 0) for job in found if job)
    assert await queue.workers() == []
    await check_books(queue)


async def test_past_the_deadline_jobs_are_released_uncharged_and_run_elsewhere(
    queue: RedisQueue, bench: Bench
) -> None:
    supervisor = bench.worker("--shutdown-timeout", "0.3")
    job = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":20}'))
    stubborn = await queue.enqueue(NewJob("stubborn", b'{"mark":2}', timeout_ms=60_000))
    await is_running(queue, job)
    await is_running(queue, stubborn)
    assert stop(supervisor) == 0
    for waiting in (await queue.get(job.id), await queue.get(stubborn.id)):
        assert (waiting.status, waiting.retry_count, waiting.crashes) == (JobStatus.QUEUED, 0, 0)
    await check_books(queue)


async def test_a_second_signal_is_quicker(queue: RedisQueue, bench: Bench) -> None:
    supervisor = bench.worker("--shutdown-timeout", "60")
    job = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":50}'))
    await is_running(queue, job)
    supervisor.send_signal(signal.SIGTERM)
    await_text(bench.folder / "w1.log", "stopping: running jobs may finish")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(8) == 0
    assert (await queue.get(job.id)).status is JobStatus.QUEUED


async def test_a_killed_supervisor_leaves_no_orphan_and_its_jobs_go_on(
    queue: RedisQueue, bench: Bench
) -> None:
    supervisor = bench.worker("--concurrency", "5", "--shutdown-timeout", "1")
    jobs = await queue.enqueue_many([NewJob("nap", b'{"mark":%d,"s":0.3}' % at) for at in range(10)])
    await eventually(lambda: len(bench.lines("start")) >= 5, 15)
    (child,) = children_of(supervisor.pid)
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not is_alive(child), 15, "the child ended by itself")
    bench.worker("--concurrency", "5")
    found = await ended(queue, jobs, 60)
    assert times(found, "completed") == [1] * 10
    await check_books(queue)


async def test_unknown_kinds_go_back_uncharged(queue: RedisQueue, bench: Bench) -> None:
    bench.worker()
    job = await queue.enqueue(NewJob("nobody.knows"))

    async def released() -> bool:
        return (await queue.get(job.id)).status is JobStatus.RETRYING

    await eventually(released, 10)
    found = await queue.get(job.id)
    assert (found.retry_count, found.attempts[0].outcome) == (0, "released")


async def test_a_worker_answers_prometheus_about_its_processes(queue: RedisQueue, bench: Bench) -> None:
    import urllib.request

    port = free_port()
    supervisor = bench.worker("--processes", "2", "--metrics-addr", f"127.0.0.1:{port}")

    def metrics() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()

    wait_until(lambda: "ironforge_worker_children 2.0" in metrics(), 15, "both processes are told")
    os.kill(children_of(supervisor.pid)[0], signal.SIGKILL)
    wait_until(lambda: "ironforge_worker_crashes_total 1.0" in metrics(), 15, "the crash is told")


async def test_statistics_agree_with_the_ledger(queue: RedisQueue, bench: Bench) -> None:
    """duration_count = attempts that ended, wait_count = claims, sums within 5 % of what handlers saw."""
    bench.worker("--concurrency", "10")
    jobs = await queue.enqueue_many([NewJob("nap", b'{"mark":%d,"s":1.0}' % at) for at in range(10)])
    jobs += await queue.enqueue_many([NewJob("flaky", max_retries=0) for _ in range(3)])
    await ended(queue, jobs)
    stats = await queue.read_stats()
    naps = stats.durations["nap", "completed"]
    began, stopped = ({line[1]: float(line[3]) for line in bench.lines(word)} for word in ("start", "end"))
    seen_ms = sum(stopped[mark] - began[mark] for mark in stopped) * 1000
    assert naps.count == len(stopped) == 10
    assert abs(naps.sum_ms - seen_ms) <= 0.05 * seen_ms
    assert stats.durations["flaky", "failed"].count == len(bench.lines("ran")) == 3
    assert stats.waits["nap"].count == 10 and stats.waits["flaky"].count == 3
    assert (stats.completed["nap"], stats.failed["flaky"], stats.dlq["flaky"]) == (10, 3, 3)
