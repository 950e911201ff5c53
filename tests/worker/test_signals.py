"""Signals at awkward moments, and from service managers that send them to every process at once."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import check_books
from tests.system.bench import Bench, ended, is_running
from tests.system.processes import await_text, children_of, ironforge, is_alive, running, stop
from tests.waiting import eventually, wait_until


def _tree(pid: int) -> list[int]:
    """The process and all below it."""
    return [pid, *(below for child in children_of(pid) for below in _tree(child))]


def _uncharged(job: Job) -> bool:
    return (job.retry_count, job.crashes, job.lapses) == (0, 0, 0)


@pytest.mark.parametrize("moment", ["has a child", "its child is ready to register"])
async def test_sigterm_while_it_starts_is_an_orderly_end(
    queue: RedisQueue, bench: Bench, moment: str
) -> None:
    supervisor = bench.worker("--processes", "2", ready=False)
    (child, *_) = wait_until(lambda: children_of(supervisor.pid), 20, "it has a child")
    if moment != "has a child":
        wait_until(lambda: _has_loaded(child), 20, "the child has loaded its module")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(15) == 0
    assert "Traceback" not in bench.log() and '"error"' not in bench.log()
    assert await queue.workers() == []


SLOW = """
import pathlib, time
pathlib.Path("importing").touch()
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_child_that_is_asked_to_end_while_its_module_is_imported(
    queue: RedisQueue, bench: Bench, number: signal.Signals
) -> None:
    """It ends with 0 and no traceback, and is replaced; asked as service managers do, all of them end."""
    (bench.folder / "slow.py").write_text(SLOW)
    importing, log = bench.folder / "importing", bench.folder / "slow.log"
    log.touch()
    with running(ironforge("worker", "slow:forge"), bench.env, log, cwd=bench.folder) as supervisor:
        wait_until(importing.exists, 20, "it imports the module")
        importing.unlink()
        os.kill(children_of(supervisor.pid)[0], number)
        await_text(log, "a worker process ended (exit code 0) before it was ready")
        wait_until(importing.exists, 20, "another was started")
        for pid in _tree(supervisor.pid):
            with suppress(ProcessLookupError):  # the first of them ends the others
                os.kill(pid, number)
        assert supervisor.wait(10) == 0
    assert "Traceback" not in log.read_text()
    assert await queue.workers() == []


async def test_a_child_whose_supervisor_dies_while_its_module_is_imported_ends(bench: Bench) -> None:
    (bench.folder / "slow.py").write_text(SLOW)
    importing, log = bench.folder / "importing", bench.folder / "slow.log"
    with running(ironforge("worker", "slow:forge"), bench.env, log, cwd=bench.folder) as supervisor:
        wait_until(importing.exists, 20, "it imports the module")
        (child,) = children_of(supervisor.pid)
        supervisor.kill()
        wait_until(lambda: not is_alive(child), 10, "the child ended by itself")


def test_sigterm_while_the_command_itself_is_imported(bench: Bench) -> None:
    """Modules are found in its folder first: one that the supervisor imports stands still."""
    (bench.folder / "uvloop.py").write_text(SLOW)
    log = bench.folder / "early.log"
    log.touch()
    env = {**bench.env, "PYTHONPATH": f"{bench.folder}:{bench.env['PYTHONPATH']}"}
    with running(ironforge("worker"), env, log, cwd=bench.folder) as supervisor:
        wait_until((bench.folder / "importing").exists, 20, "it is imported")
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(10) == 0
    assert log.read_text() == ""


SLOW_FOR_HANDLERS = """
import pathlib, sys, time
here = pathlib.Path(__file__).parent
if "handlers" in sys.orig_argv:
    (here / "importing").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
sys.path.remove(str(here))
del sys.modules["tomllib"]
import tomllib
"""


async def test_the_process_of_a_handler_is_not_ended_by_a_signal_to_all_while_it_is_imported(
    queue: RedisQueue, bench: Bench
) -> None:
    """No attempt is lost to a service manager that asks every process at once."""
    (bench.folder / "tomllib.py").write_text(SLOW_FOR_HANDLERS)
    bench.env["PYTHONPATH"] = f"{bench.folder}:{bench.env['PYTHONPATH']}"
    supervisor = bench.worker()
    (child,) = children_of(supervisor.pid)
    job = await queue.enqueue(NewJob("process.nap", b'{"mark":1}', max_retries=0))
    await eventually((bench.folder / "importing").exists, 15, "its process is started")
    (process,) = children_of(child)
    os.kill(process, signal.SIGTERM)
    (bench.folder / "go").touch()
    (done,) = await ended(queue, [job])
    assert done.status is JobStatus.COMPLETED and _uncharged(done)


def _has_loaded(pid: int) -> bool:
    """Whether pydantic's library is mapped: the import of the module is nearly through."""
    try:
        return "pydantic_core" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return True


async def test_sigterm_to_every_process_at_once_is_one_request_to_stop(
    queue: RedisQueue, bench: Bench
) -> None:
    """systemd does so: the jobs still get their time, those in processes of their own too."""
    supervisor = bench.worker("--shutdown-timeout", "30")
    jobs = await queue.enqueue_many(
        [NewJob("nap", b'{"mark":1,"s":1}'), NewJob("process.nap", b'{"mark":2,"s":1}')]
    )
    await eventually(lambda: len(bench.lines("start")) == 2, 15, "both run")
    for pid in _tree(supervisor.pid):
        os.kill(pid, signal.SIGTERM)
    assert supervisor.wait(20) == 0
    found = [await queue.get(job.id) for job in jobs]
    assert [job.status for job in found] == [JobStatus.COMPLETED] * 2
    assert all(map(_uncharged, found))
    assert [len(job.attempts) for job in found] == [1, 1]


async def test_a_third_signal_ends_it_at_once_and_charges_nobody(queue: RedisQueue, bench: Bench) -> None:
    supervisor = bench.worker("--shutdown-timeout", "60")
    job = await queue.enqueue(NewJob("stubborn", b'{"mark":1}', timeout_ms=60_000))
    await is_running(queue, job)
    tree = _tree(supervisor.pid)
    supervisor.send_signal(signal.SIGTERM)
    await_text(bench.folder / "w1.log", "stopping: running jobs may finish")
    supervisor.send_signal(signal.SIGTERM)
    await_text(bench.folder / "w1.log", "stopping now")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(5) == 0
    found = await queue.get(job.id)
    assert found.status is JobStatus.QUEUED and _uncharged(found)
    assert not any(map(is_alive, tree))
    assert await queue.workers() == []
    await check_books(queue)


async def test_a_handler_in_a_process_ends_with_its_worker(queue: RedisQueue, bench: Bench) -> None:
    supervisor = bench.worker("--concurrency", "2")
    job = await queue.enqueue(NewJob("process.nap", b'{"mark":1,"s":60}'))
    await eventually(lambda: bench.lines("start"), 15, "it runs")
    (child,) = children_of(supervisor.pid)
    (handler,) = (int(line[2]) for line in bench.lines("start"))
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not is_alive(handler), 10, "nobody waits for its answer: it ended")
    await queue.cancel(job.id)


async def test_orphans_release_what_does_not_end_before_their_lease_is_over(
    queue: RedisQueue, bench: Bench
) -> None:
    supervisor = bench.worker()
    job = await queue.enqueue(NewJob("nap", b'{"mark":1,"s":60}'))
    await is_running(queue, job)
    (child,) = children_of(supervisor.pid)
    supervisor.kill()
    wait_until(lambda: not is_alive(child), 12, "the child ended by itself")
    found = await queue.get(job.id)
    assert found.status is JobStatus.QUEUED and _uncharged(found)
    await check_books(queue)


async def test_stopped_while_it_waits_for_redis_at_its_start(bench: Bench, tmp_path: Path) -> None:
    bench.env["REDIS_URL"] = f"unix://{tmp_path}/nobody.sock"
    supervisor = bench.worker(ready=False)
    await_text(bench.folder / "w1.log", "waiting for it")
    assert stop(supervisor, 5) == 0
    assert "Traceback" not in bench.log()
