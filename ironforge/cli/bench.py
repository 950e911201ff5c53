"""`ironforge bench`: throughput, latency and priority order here, beside what this Redis can do at most."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ironforge import config
from ironforge.cli.output import add_json, print_json
from ironforge.errors import ConfigError
from ironforge.job import NewJob, Priority

if TYPE_CHECKING:
    from ironforge.forge import Forge
    from ironforge.queue.backend import RedisQueue

CONCURRENCY = 100
SAMPLES = 300
ORDERED = 200
WIDTH = 30


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser(
        "bench",
        help="measure throughput, latency and priority order",
        description="Runs no-op jobs through one worker in this process, in a namespace of its own that is removed afterwards.",
    )
    parser.add_argument(
        "--jobs", type=int, default=10_000, metavar="N", help="jobs to submit and drain (default 10,000)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    if args.jobs < 100:
        raise ConfigError("--jobs must be at least 100")
    from ironforge.worker.child import asyncio_run

    settings = replace(config.load(), namespace=f"bench-{secrets.token_hex(4)}")
    results: dict[str, Any] = {}

    async def main() -> int:
        results.update(await _measure(settings, args.jobs, Progress(not args.json and sys.stderr.isatty())))
        return 0

    asyncio_run(main())
    print_json(results) if args.json else _print(results)
    return 0 if results["priority_order"] else 1


class Progress:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown

    @contextmanager
    def of(self, title: str) -> Iterator[Any]:
        def step(share: float) -> None:
            if self._shown:
                done = round(max(0.0, min(1.0, share)) * WIDTH)
                print(
                    f"\r{title:<12} {'█' * done}{'·' * (WIDTH - done)} {share:>4.0%}", end="", file=sys.stderr
                )

        step(0)
        yield step
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr)


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
        ran: list[tuple[str, float]] = []
        stop = await _start_worker(forge, queue, ran)
        with progress.of("drain") as step:
            drained = await _drain(ran, jobs, step)
        with progress.of("latency") as step:
            latencies = await _latency(queue, ran, step)
        await stop()
        with progress.of("priorities"):
            ordered = await _priorities(forge, queue, ran)
        return {
            "server": health.server,
            "durability": health.durability,
            "jobs": jobs,
            "concurrency": CONCURRENCY,
            "submit_per_s": round(submitted),
            "drain_per_s": round(drained),
            "latency_ms": {
                name: round(_quantile(latencies, q), 2)
                for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
            },
            "latency_samples": len(latencies),
            "priority_order": ordered,
            "raw_pipelined_evals_per_s": round(raw),
            "drain_share_of_raw": round(drained / raw, 3),
        }
    finally:
        await _remove(queue)
        await forge.aclose()


async def _raw(queue: RedisQueue, step: Any) -> float:
    """Two hash writes and two sorted set moves in a script: the least that a job costs, sent 100 at a time."""
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < 1.0:
        await queue.raw_round_trips(100)
        done += 100
        step(took)
    return done / (time.perf_counter() - began)


async def _submit(queue: RedisQueue, jobs: int, step: Any) -> float:
    began = time.perf_counter()
    for at in range(0, jobs, 1000):
        await queue.enqueue_many([NewJob("bench.noop") for _ in range(min(1000, jobs - at))])
        step(at / jobs)
    return jobs / (time.perf_counter() - began)


async def _start_worker(
    forge: Forge, queue: RedisQueue, ran: list[tuple[str, float]], concurrency: int = CONCURRENCY
) -> Any:
    """One worker in this loop; gives the way to stop it."""
    import logging

    from ironforge.queue.readings import WorkerInfo
    from ironforge.worker.crew import Crew, CrewOptions

    logging.getLogger("ironforge").setLevel(logging.ERROR)
    if forge.tasks.get("bench.noop") is None:

        @forge.task("bench.noop")
        async def noop(mark: str = "") -> None:  # pyright: ignore[reportUnusedFunction]
            ran.append((mark, time.perf_counter()))

    wid = f"bench-{secrets.token_hex(4)}"
    await queue.register(wid, WorkerInfo("bench", 0, 0, "", ("default",), concurrency), lease_ms=600_000)
    crew = Crew(queue, wid, forge.tasks, CrewOptions(concurrency))
    serving = asyncio.create_task(crew.serve())

    async def stop() -> None:
        crew.stop()
        await serving
        await queue.deregister(wid)

    return stop


async def _drain(ran: list[tuple[str, float]], jobs: int, step: Any) -> float:
    while len(ran) < jobs:
        step(len(ran) / jobs)
        await asyncio.sleep(0.01)
    return (jobs - 1) / (ran[jobs - 1][1] - ran[0][1])


async def _latency(queue: RedisQueue, ran: list[tuple[str, float]], step: Any) -> list[float]:
    """Milliseconds from just before the submit to the first line of the handler, on an idle worker."""
    found: list[float] = []
    for at in range(SAMPLES):
        await asyncio.sleep(0.002)
        before, began = len(ran), time.perf_counter()
        await queue.enqueue(NewJob("bench.noop"))
        while len(ran) == before:
            await asyncio.sleep(0)
        found.append((ran[before][1] - began) * 1000)
        step(at / SAMPLES)
    return sorted(found)


async def _priorities(forge: Forge, queue: RedisQueue, ran: list[tuple[str, float]]) -> bool:
    """Submitted in the wrong order, run one at a time: do they run in the right one?"""
    ran.clear()
    wrong_way = list(reversed(Priority))
    jobs = [
        NewJob("bench.noop", b'{"mark":"%s"}' % priority.value.encode(), priority=priority)
        for priority in (wrong_way[at % len(wrong_way)] for at in range(ORDERED))
    ]
    await queue.enqueue_many(jobs)
    stop = await _start_worker(forge, queue, ran, concurrency=1)
    while len(ran) < ORDERED:
        await asyncio.sleep(0.01)
    await stop()
    ranks = [Priority(mark).rank for mark, _ in ran]
    return ranks == sorted(ranks)


async def _remove(queue: RedisQueue) -> None:
    """The namespace leaves nothing behind."""
    await queue.remove_namespace()


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
        f"  latency    p50 {latency['p50']} ms   p95 {latency['p95']} ms   p99 {latency['p99']} ms   {results['latency_samples']} samples, idle worker"
    )
    print(
        f"  priority   {'✓ critical first, in order' if results['priority_order'] else '✗ OUT OF ORDER'}   {ORDERED} jobs at concurrency 1"
    )
