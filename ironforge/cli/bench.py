"""`ironforge bench`: throughput, latency and priority order here, beside what this Redis can do at most."""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import signal
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from ironforge import config
from ironforge.cli.output import add_json, print_json
from ironforge.errors import ConfigError, StartupError
from ironforge.job import NewJob, Priority

if TYPE_CHECKING:
    from ironforge.forge import Forge
    from ironforge.queue.backend import RedisQueue

KIND = "bench.noop"
CONCURRENCY = 100
LEASE_MS = 600_000  # nobody renews it: longer than a measurement
STUCK_S = 30.0
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
SAMPLES = 300
ORDERED = 200
WIDTH = 30


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser(
        "bench",
        description="Runs no-op jobs through one worker in this process, in a namespace of its own that is removed afterwards.",
    )
    parser.add_argument(
        "--jobs", type=int, default=10_000, metavar="N", help="jobs to submit and drain (default 10,000)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    if args.jobs < 100:
        raise ConfigError("--jobs must be at least 100")
    from ironforge.worker.loops import run_loop

    settings = replace(config.load(), namespace=f"bench-{secrets.token_hex(4)}")
    results: dict[str, Any] = {}

    async def main() -> int:
        this = asyncio.current_task()
        assert this
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)  # to remove the namespace
        results.update(await _measure(settings, args.jobs, Progress(not args.json and sys.stderr.isatty())))
        return 0

    try:
        run_loop(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    print_json(results) if args.json else _print(results)
    return 0 if results["priority_order"] else 1


class Progress:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown

    @contextmanager
    def of(self, title: str) -> Generator[Callable[[float], None]]:
        def step(share: float) -> None:
            if self._shown:
                done = round(max(0.0, min(1.0, share)) * WIDTH)
                bar = f"{'█' * done}{'·' * (WIDTH - done)} {share:>4.0%}"
                print(f"\r{title:<12} {bar}", end="", file=sys.stderr, flush=True)

        step(0)
        try:
            yield step
        finally:
            if self._shown:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)


async def _measure(settings: config.Settings, jobs: int, progress: Progress) -> dict[str, Any]:
    from ironforge.forge import Forge

    forge = Forge(settings=settings)
    queue = await forge.connect()
    try:
        health = await queue.health()
        with progress.of("raw Redis") as step:
            raw = await _raw(queue, step)
        with progress.of("submit") as step:
            submitted = await _submit(queue, jobs, step)
        async with _Worker(forge, queue, CONCURRENCY) as worker:
            with progress.of("drain") as step:
                drained = await _drain(worker, jobs, step)
            with progress.of("latency") as step:
                latencies = await _latency(queue, worker, step)
        with progress.of("priorities"):
            ordered = await _priorities(forge, queue)
    finally:
        await queue.remove_namespace()
        await forge.aclose()
    return {
        "server": health.server,
        "durability": health.durability,
        "jobs": jobs,
        "concurrency": CONCURRENCY,
        "submit_per_s": round(submitted),
        "drain_per_s": round(drained),
        "latency_ms": {name: round(_quantile(latencies, q), 2) for name, q in QUANTILES.items()},
        "latency_samples": len(latencies),
        "priority_order": ordered,
        "raw_pipelined_evals_per_s": round(raw),
        "drain_share_of_raw": round(drained / raw, 3),
    }


class _Worker:
    """One worker in this loop, as a context manager: when it ends, also by an error, nothing of it runs any more."""

    def __init__(self, forge: Forge, queue: RedisQueue, concurrency: int) -> None:
        self.ran: list[tuple[str, float]] = []  # the job's mark, and when its handler began
        self._forge, self._queue, self._concurrency = forge, queue, concurrency
        self._wid = f"bench-{secrets.token_hex(4)}"

    async def __aenter__(self) -> Self:
        from ironforge.queue.readings import WorkerInfo
        from ironforge.task import TaskRegistry
        from ironforge.worker.crew import Crew, CrewOptions

        self._forge.tasks = TaskRegistry()

        @self._forge.task(KIND)
        async def noop(mark: str = "") -> None:  # pyright: ignore[reportUnusedFunction]
            self.ran.append((mark, time.perf_counter()))

        logging.getLogger("ironforge").setLevel(logging.ERROR)
        info = WorkerInfo("bench", 0, 0, "", ("default",), self._concurrency)
        await self._queue.register(self._wid, info, lease_ms=LEASE_MS)
        self._crew = Crew(self._queue, self._wid, self._forge.tasks, CrewOptions(self._concurrency))
        self._serving = asyncio.create_task(self._crew.serve())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._crew.stop()
            await self._serving
            await self._queue.deregister(self._wid)
        else:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    async def until_ran(self, jobs: int, pause_s: float, step: Callable[[float], None] | None = None) -> None:
        """Raises what ended the worker before it ran so many, and StartupError where nothing moves any more."""
        seen, moved_at = -1, time.monotonic()
        while len(self.ran) < jobs:
            if self._serving.done():
                self._serving.result()
                raise StartupError("the worker ended before its jobs did")
            if len(self.ran) > seen:
                seen, moved_at = len(self.ran), time.monotonic()
            elif time.monotonic() - moved_at > STUCK_S:
                raise StartupError(
                    f"no job ran for {STUCK_S:g} s; does this Redis answer? See 'ironforge doctor'"
                )
            if step:
                step(len(self.ran) / jobs)
            await asyncio.sleep(pause_s)


async def _raw(queue: RedisQueue, step: Callable[[float], None]) -> float:
    """Two hash writes and two sorted set moves in a script: the least that a job costs, sent 100 at a time."""
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < 1.0:
        await queue.shards[0].raw_round_trips(100)
        done += 100
        step(took)
    return done / (time.perf_counter() - began)


async def _submit(queue: RedisQueue, jobs: int, step: Callable[[float], None]) -> float:
    began = time.perf_counter()
    for at in range(0, jobs, 1000):
        await queue.enqueue_many([NewJob(KIND) for _ in range(min(1000, jobs - at))])
        step(at / jobs)
    return jobs / (time.perf_counter() - began)


async def _drain(worker: _Worker, jobs: int, step: Callable[[float], None]) -> float:
    await worker.until_ran(jobs, 0.01, step)
    return (jobs - 1) / (worker.ran[jobs - 1][1] - worker.ran[0][1])


async def _latency(queue: RedisQueue, worker: _Worker, step: Callable[[float], None]) -> list[float]:
    """Milliseconds from just before the submit to the first line of the handler, on an idle worker."""
    found: list[float] = []
    for at in range(SAMPLES):
        await asyncio.sleep(0.002)
        before, began = len(worker.ran), time.perf_counter()
        await queue.enqueue(NewJob(KIND))
        await worker.until_ran(before + 1, 0)
        found.append((worker.ran[before][1] - began) * 1000)
        step(at / SAMPLES)
    return sorted(found)


async def _priorities(forge: Forge, queue: RedisQueue) -> bool:
    """Submitted in the wrong order, run one at a time: do they run in the right one?"""
    wrong_way = list(reversed(Priority))
    jobs = [
        NewJob(KIND, b'{"mark":"%s"}' % priority.value.encode(), priority=priority)
        for priority in (wrong_way[at % len(wrong_way)] for at in range(ORDERED))
    ]
    await queue.enqueue_many(jobs)
    async with _Worker(forge, queue, 1) as worker:
        await worker.until_ran(ORDERED, 0.01)
    ranks = [Priority(mark).rank for mark, _ in worker.ran]
    return ranks == sorted(ranks)


def _quantile(ordered: list[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def _print(results: dict[str, Any]) -> None:
    latency = results["latency_ms"]
    print(
        f"IronForge on {results['server']}, durability {results['durability']}, {results['jobs']:,} no-op jobs, one worker process"
    )
    print()
    print(f"  submit     {results['submit_per_s']:>9,} jobs/s   in batches of 1,000")
    print(f"  drain      {results['drain_per_s']:>9,} jobs/s   concurrency {results['concurrency']}")
    print(
        f"  raw Redis  {results['raw_pipelined_evals_per_s']:>9,} scripts/s   the least a job costs; draining reaches {results['drain_share_of_raw']:.0%} of it"
    )
    print(
        f"  latency    p50 {latency['p50']} ms   p95 {latency['p95']} ms   p99 {latency['p99']} ms   max {latency['max']} ms   {results['latency_samples']} samples, idle worker"
    )
    print(
        f"  priority   {'✓ critical first, in order' if results['priority_order'] else '✗ OUT OF ORDER'}   {ORDERED} jobs at concurrency 1"
    )
