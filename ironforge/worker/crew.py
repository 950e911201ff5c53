"""The loops of one worker process put together: lanes, beat, waking, maintenance, and the way out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ironforge.context import Context
from ironforge.errors import LeaseLost, StoreUnavailable
from ironforge.job import Job
from ironforge.maintenance import maintain
from ironforge.periodic import every
from ironforge.queue.readings import Settlement, Turn
from ironforge.task import TaskRegistry
from ironforge.worker.board import Board
from ironforge.worker.deadlines import Deadlines
from ironforge.worker.joblog import JobLog
from ironforge.worker.lane import Lane
from ironforge.worker.processes import ProcessPool
from ironforge.worker.run import GRACE_S, Run, Runner
from ironforge.worker.spawned import watch_tasks
from ironforge.worker.strays import LOOK_S, Strays
from ironforge.worker.watchdog import Watchdog

if TYPE_CHECKING:
    from ironforge.queue.backend import RedisQueue

log = logging.getLogger("ironforge.worker")

LONGEST_SLEEP_S = 5.0
BEAT_S = 1.0
# After the deadline handlers are cancelled and get so long to end; then what is left is released, if Redis answers.
# Together below the two seconds within which a worker that was asked to leave is gone.
RELEASE_S = 1.0
LAST_CALL_S = 0.4


@dataclass(frozen=True, slots=True)
class CrewOptions:
    """How a worker works.

    Attributes:
        concurrency: jobs at once.
        queues: most wanted first.
        shutdown_timeout_s: at a stop, running jobs may finish for so long.
        grace_s: after its limit or a cancel, a handler has so long to end; one that does not is stuck.
    """

    concurrency: int = 10
    queues: tuple[str, ...] = ("default",)
    shutdown_timeout_s: float = 25.0
    grace_s: float = GRACE_S


class Crew:
    """One registered worker. Its lease is held by another process: see supervisor.py and keeper.py.

    Args:
        board: shared with the supervisor; without one nobody else looks at it.
    """

    def __init__(
        self,
        queue: RedisQueue,
        wid: str,
        tasks: TaskRegistry,
        options: CrewOptions,
        board: Board | None = None,
    ) -> None:
        self.queue = queue
        self.wid = wid
        self.queues = options.queues
        self.draining = False
        self.leaving_anyway = False
        self.recycled = False
        self.floor = asyncio.Lock()
        self._options = options
        self._board = board or Board(-1, options.concurrency)
        self._threads = ThreadPoolExecutor(options.concurrency, thread_name_prefix="job")
        self._processes = ProcessPool()
        self.runner = Runner(tasks, self._threads, self._processes)
        self._runs: dict[str, Run] = {}
        self._deadlines = Deadlines(self._runs.values, self._give_up)
        self._joblog = JobLog()
        self._free_slots = list(range(options.concurrency, 0, -1))
        self._done = self._failed = 0
        self._wake_wanted = asyncio.Event()
        self._steps_down = 0
        self._stop_asked = asyncio.Event()
        self._release_asked = asyncio.Event()
        self._serving: list[asyncio.Task[None]] = []
        self._waiting: asyncio.Task[None] | None = None
        self._progress: dict[str, tuple[Run, str]] = {}
        self._beaten_at = -LONGEST_SLEEP_S
        self._cpu = _CpuMeter()
        sizes = [options.concurrency] if options.concurrency == 1 else _halves(options.concurrency)
        self._lanes = [Lane(at, size, self, self._start_run, self._end_run) for at, size in enumerate(sizes)]

    async def serve(self) -> None:
        """Until asked to stop, and everything was settled or released. Raises LeaseLost."""
        log.info("worker ready", extra={"worker": self.wid, "queues": ",".join(self.queues), "concurrency": self._options.concurrency})  # fmt: skip
        watchdog = Watchdog(self._board, self._slot_of)
        unwatch_tasks = watch_tasks()
        self._waiting = asyncio.create_task(self._await_marks())
        background = [
            asyncio.create_task(every(BEAT_S, self._beat, "beat")),
            asyncio.create_task(every(0.25, self._tell_progress, "progress")),
            self._waiting,
            asyncio.create_task(self._hand_back_unheard(self._waiting)),
            asyncio.create_task(every(LOOK_S, Strays(self.queue, self.wid, self._knows).look, "strays")),
            *maintain(self.queue),
        ]
        self._serving = [asyncio.create_task(lane.serve()) for lane in self._lanes]
        lanes = asyncio.gather(*self._serving)
        leaving = asyncio.create_task(self._leave())
        try:
            pending: set[asyncio.Future[Any]] = {lanes, leaving, background[0], self._waiting}
            while not lanes.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if not task.cancelled():  # as the one that waits is when this worker drains
                        task.result()
        except _Gone:
            raise LeaseLost(self.wid) from None
        except _Left:
            pass
        finally:
            watchdog.stop()
            self._deadlines.stop()
            self._joblog.sum_up()
            unwatch_tasks()
            tasks = (*background, *self._serving, leaving)
            for task in tasks:
                task.cancel()
            everything: list[asyncio.Future[Any]] = [*tasks, lanes]
            await asyncio.gather(*everything, return_exceptions=True)
            await self._processes.close()
            self._threads.shutdown(wait=False, cancel_futures=True)

    def stop(self, step: int | None = None) -> None:
        """Goes down the ladder to a step, or to the next: 1 drain, 2 release what runs, 3 go at once."""
        self._board.leave(recycling=False)
        self._steps_down = max(self._steps_down, self._steps_down + 1 if step is None else step)
        if self._steps_down > 2:
            os._exit(1)
        if not self._stop_asked.is_set():
            log.info("stopping: running jobs may finish within %.0f s", self._options.shutdown_timeout_s, extra={"running": len(self._runs)})  # fmt: skip
            self._stop_asked.set()
        if self._steps_down == 2 and not self._release_asked.is_set():
            log.info("stopping now: running jobs are released", extra={"running": len(self._runs)})
            self._release_asked.set()

    async def abandon(self) -> None:
        """After the end: handlers whose jobs are not this worker's any more are cancelled, in a process that goes on."""
        for run in list(self._runs.values()):
            self._stop_run(run, "released")
        left = {task for lane in self._lanes for task in lane.tasks}
        if left:
            await asyncio.wait(left, timeout=RELEASE_S)

    # -- what lanes ask of their worker -------------------------------------------------------------------------

    def obey(self, orders: list[str]) -> None:
        for order in orders:
            verb, _, job_id = order.partition(":")
            run = self._runs.get(job_id)
            if verb == "cancel" and run and run.stopping is None:
                log.info("cancel requested", extra={"job_id": job_id, "kind": run.job.kind})
                self._stop_run(run, "cancelled")

    def want_wake(self) -> None:
        self._wake_wanted.set()

    def hold_nobody(self) -> None:
        """One lane may claim: those that were held back look for themselves."""
        for lane in self._lanes:
            if lane.held:
                lane.wake()

    def recycle(self, run: Run) -> None:
        """A handler does not end: this process is replaced once the others finished."""
        log.error("stuck: it ignores its cancellation; this worker is replaced", extra={"job_id": run.job.id, "kind": run.job.kind})  # fmt: skip
        self.recycled = True
        self._board.leave(recycling=True)
        self._stop_asked.set()

    # -- slots ----------------------------------------------------------------------------------------------------

    def _start_run(self, job: Job) -> Run:
        limit_s = self.runner.limit_s(job)
        run = Run(job, self._free_slots.pop(), limit_s, self._options.grace_s, self._context_of)
        self._runs[job.id] = run
        self._board.begin(run.slot - 1, job.id, run.look_at, limit_s)
        self._deadlines.watch(run.look_at)
        return run

    def _context_of(self, run: Run) -> Context:
        loop = asyncio.get_running_loop()

        def report(progress_json: str) -> None:
            loop.call_soon_threadsafe(self._progress.__setitem__, run.job.id, (run, progress_json))

        return Context(run.job, self.queue, report)

    def _end_run(self, run: Run, settlement: Settlement) -> None:
        self._runs.pop(run.job.id, None)
        if self._progress:
            self._progress.pop(run.job.id, None)
        self._board.end(run.slot - 1)
        if not run.stuck:
            self._free_slots.append(run.slot)
        self._done += 1
        if settlement.outcome in ("retry", "dead"):
            self._failed += 1  # told where it was judged
        else:
            self._joblog.ended(settlement.outcome, run.job.id, run.job.kind, run.began)

    def _stop_run(self, run: Run, why: Literal["cancelled", "released"]) -> None:
        run.ask_to_stop(why)
        self._deadlines.watch(run.look_at)

    def _give_up(self, run: Run) -> None:
        settlement = self.runner.without_result(run)
        for lane in self._lanes:
            if lane.runs(run):
                lane.give_up(run, settlement)

    def _knows(self, job_id: str, fence: str) -> bool:
        return job_id in self._runs or any(lane.settles(job_id, fence) for lane in self._lanes)

    def _slot_of(self, task_name: str) -> int | None:
        run = self._runs.get(task_name.removeprefix("job "))
        return run.slot - 1 if run else None

    # -- background -----------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        """Each second while a job runs, so that a cancel is heard; each five when idle."""
        self._joblog.sum_up()
        if not self._runs and time.monotonic() - self._beaten_at < LONGEST_SLEEP_S:
            return
        self._beaten_at = time.monotonic()
        running = [
            {"id": run.job.id, "kind": run.job.kind, "queue": run.job.queue, "started_ms": run.job.started_ms, "slot": run.slot}
            for run in list(self._runs.values())[:200]
        ]  # fmt: skip
        reply = await self.queue.beat(
            self.wid,
            {
                "state": "stopping" if self.draining else "running",
                "running": json.dumps(running),
                "done": str(self._done),
                "failed": str(self._failed),
                "cpu_pct": f"{self._cpu.percent():.1f}",
                "rss_bytes": str(_rss_bytes()),
            },
        )
        if reply.word == "gone":
            raise _Gone
        self.obey(reply.orders)

    async def _tell_progress(self) -> None:
        for job_id, told in list(self._progress.items()):
            run, progress_json = told
            await self.queue.progress(job_id, run.job.fence, progress_json)
            # Else there is newer by now; and what could not be sent stays for the next time.
            if self._progress.get(job_id) is told:
                del self._progress[job_id]

    async def _await_marks(self) -> None:
        """While a lane is idle, one of them claims ahead: at a mark, when the next job is due, or after five seconds."""
        while True:
            self._wake_wanted.clear()
            idle = [lane for lane in self._lanes if lane.waits]
            if not idle:
                held = any(lane.held for lane in self._lanes)
                try:
                    async with asyncio.timeout(LONGEST_SLEEP_S if held else None):
                        await self._wake_wanted.wait()
                except TimeoutError:  # a suspect's end was told elsewhere
                    self.hold_nobody()
                continue
            due = [lane.next_due_ms / 1000 for lane in self._lanes if lane.next_due_ms is not None]
            claiming = min(idle, key=lambda lane: lane.running)
            if await claiming.claim_ahead(min([LONGEST_SLEEP_S, *due])):
                for lane in self._lanes:
                    lane.next_due_ms = claiming.next_due_ms

    async def _hand_back_unheard(self, waiting: asyncio.Task[None]) -> None:
        """Once this worker drains: a claim may have been made just as the wait for it was broken off. What it took is
        not to wait until the last job here ends."""
        await asyncio.wait({waiting})
        strays = Strays(self.queue, self.wid, self._knows)
        with contextlib.suppress(StoreUnavailable):  # the looks that go on find it later
            await strays.look()
            await strays.look()

    async def _leave(self) -> None:
        """The ladder: drain until the deadline, then cancel and release, then go whatever still runs."""
        await self._stop_asked.wait()
        self.draining = True
        if self._waiting:
            self._waiting.cancel()
        for lane in self._lanes:
            lane.look()
        if await self._drained(self._options.shutdown_timeout_s, self._release_asked):
            return
        for run in list(self._runs.values()):
            self._stop_run(run, "released")
        if await self._drained(RELEASE_S):
            return
        self.leaving_anyway = True
        await self._release(list(self._runs.values()))
        raise _Left

    async def _drained(self, within_s: float, unless: asyncio.Event | None = None) -> bool:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not (unless and unless.is_set()):
            if all(task.done() for task in self._serving):
                return True
            await asyncio.sleep(0.02)
        return all(task.done() for task in self._serving)

    async def _release(self, runs: list[Run]) -> None:
        """Hands back what does not end; its process is about to."""
        settlements = [Settlement(run.job.id, run.job.fence, "released") for run in runs]
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(LAST_CALL_S):
                await self.queue.turn(Turn(self.wid, 0, "", 0, self.queues, settlements))
        log.warning("released jobs whose handlers do not end", extra={"running": len(runs)})


class _Gone(BaseException):
    """The registration was taken away; passes through `every`, which goes on after ordinary errors."""


class _Left(Exception):
    """Nothing more can be waited for."""


class _CpuMeter:
    """Per cent of one core since the last question, handlers' finished processes included."""

    def __init__(self) -> None:
        self._last = (time.monotonic(), _cpu_s())

    def percent(self) -> float:
        now = (time.monotonic(), _cpu_s())
        span_s, used_s = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return 100 * used_s / span_s if span_s > 0 else 0.0


def _cpu_s() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def _rss_bytes() -> int:
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux: the peak is what there is, in bytes on macOS
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _halves(slots: int) -> list[int]:
    return [slots - slots // 2, slots // 2]
