"""What stays in Redis: completed jobs under retention stay flat, and a million dead ones cost no page its time."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from ironforge.job import Job, JobStatus, NewJob
from ironforge.maintenance import maintain
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.listing import Position
from ironforge.queue.maintaining import COMPLETED_KEPT
from ironforge.queue.readings import JobFilter, Settlement, Turn, WorkerInfo
from ironforge.queue.scripts import script
from tests.chaos.pacing import during, quantile
from tests.chaos.scorecard import Row, Setting
from tests.redis_server import RedisServer, private_redis
from tests.waiting import eventually

BATCH = 500
DAY_MS = 86_400_000
# About what a handler leaves that called an HTTP library which could not connect.
ERROR = '{"type":"ConnectionError","message":"the mail server refused the connection","traceback":"%s"}' % (
    r"Traceback (most recent call last):\n"
    + r"  File \"/srv/app/mail.py\", line 41, in send\n    await client.connect(host, port, timeout=5)\n" * 3
)


class Sizes(NamedTuple):
    """How many jobs complete, are trimmed at once, and die; pages that are read; how often the memory is read, each
    after a tick of the maintenance; and how many completed jobs are kept."""

    completions: int
    backlog: int
    dead: int
    pages: int
    points: int
    kept: int = COMPLETED_KEPT


FULL = Sizes(completions=1_000_000, backlog=200_000, dead=1_000_000, pages=2_000, points=20)


async def run(setting: Setting) -> list[Row]:
    sizes = Sizes(
        setting.of(FULL.completions, 40_000), setting.of(FULL.backlog, 20_000), setting.of(FULL.dead, 5_000),
        setting.of(FULL.pages, 100), setting.of(FULL.points, 5),
    )  # fmt: skip
    return await play(setting, sizes)


async def play(setting: Setting, sizes: Sizes) -> list[Row]:
    """The scenario at any size."""
    with private_redis(
        "--slowlog-log-slower-than", "500", "--slowlog-max-len", "5000", binary=setting.redis_server
    ) as server:
        rows = await _completed(setting, sizes, server)
        return rows + await _dead(setting, sizes, server)


class _Worker:
    """Claims and ends jobs as fast as Redis answers."""

    def __init__(self, queue: RedisQueue) -> None:
        self._queue = queue
        self._turns = 0
        self._held: list[Settlement] = []

    async def register(self) -> None:
        info = WorkerInfo("host", 1, 2, "0", ("default",), BATCH, {})
        assert await self._queue.register("filler", info, 30 * DAY_MS)

    async def end(self, jobs: int, settlement: Any) -> None:
        """Submits so many jobs, claims them, and settles each with what `settlement(job, number)` gives."""
        for first in range(0, jobs, BATCH):
            count = min(BATCH, jobs - first)
            await self._queue.enqueue_many(
                [NewJob("email.send", b'{"to":"ada@example.com"}', max_retries=0) for _ in range(count)]
            )
            claimed = await self._turn(count)
            assert len(claimed) == count
            self._held = [settlement(job, first + at) for at, job in enumerate(claimed)]
        await self._turn(0)

    async def _turn(self, slots: int) -> list[Job]:
        self._turns += 1
        settlements, self._held = tuple(self._held), []
        turn = Turn("filler", 0, f"turn{self._turns}", slots, ("default",), settlements)
        return (await self._queue.turn(turn)).jobs


def _completed_one(job: Job, _: int) -> Settlement:
    return Settlement(job.id, job.fence, "completed", result_json='"250 queued"')


def _dead_one(job: Job, number: int) -> Settlement:
    return Settlement(job.id, job.fence, "dead", error_json=ERROR, fingerprint=f"{number % 100:012x}")


@asynccontextmanager
async def _filler(server: RedisServer, namespace: str) -> AsyncIterator[tuple[RedisQueue, _Worker]]:
    async with RedisQueue(server.url, namespace, shifted_clock=True) as queue:
        worker = _Worker(queue)
        await worker.register()
        yield queue, worker


async def _completed(setting: Setting, sizes: Sizes, server: RedisServer) -> list[Row]:
    jobs, backlog = sizes.completions, sizes.backlog
    async with _filler(server, "kept") as (queue, worker):
        await worker.end(BATCH, _completed_one)
        await _let_all_go(queue)
        await queue.reap()  # leaves its tick
        empty = await _names(queue)
        await worker.end(backlog, _completed_one)
        began = time.monotonic()
        trimmed = await queue.trim(keep=0, spend_s=3600)
        rate = trimmed / (time.monotonic() - began)
        assert trimmed == backlog
        calls = await _slow(queue, "trim")
        points, most, took_s, more = await _under_retention(setting, sizes, queue, worker)
        calls += more
        findings = (await audit(queue)).findings
        await _let_all_go(queue)
        left = await _names(queue)
        calls += await _slow(queue, "trim")
    drift = max(abs(point / points[0] - 1) for point in points)
    return [
        Row("completions", f"{jobs:,} at {jobs / took_s:,.0f} a second, {sizes.kept:,} kept"),
        Row(
            "memory after the first fill, at most off by", f"{drift:.1%} in {len(points)} readings ({points[0] / 2**20:.1f} MiB)", "≤ 5%", drift <= 0.05,
        ),
        Row("completed jobs at most, between two ticks", f"{most:,}"),
        Row("trim removes", f"{rate:,.0f} a second, {trimmed:,} timed", "≥ 10,000", rate >= 10_000, timed=True),
        Row("longest call of trim", f"{max(calls, default=0) / 1000:.1f} ms, {len(calls)} above 0.5 ms", "< 10 ms", max(calls, default=0) < 10_000, timed=True),
        Row("keys left when all retention is over", f"{len(left - empty)} of {len(left)} {sorted(left - empty)[:3] or ''}", "0", left <= empty),
        Row("what the auditor finds", f"{len(findings)}", "0", not findings),
    ]  # fmt: skip


async def _under_retention(
    setting: Setting, sizes: Sizes, queue: RedisQueue, worker: _Worker
) -> tuple[list[int], int, float, list[int]]:
    """(memory in use each time that retention had caught up, most completed jobs seen, seconds of work, slow calls)."""
    points: list[int] = []
    slow: list[int] = []
    most, took_s, jobs, steps = 0, 0.0, sizes.completions, sizes.points
    maintenance = (
        maintain(queue) if sizes.kept == COMPLETED_KEPT else [asyncio.create_task(_trimming(queue, sizes))]
    )
    try:
        for at in range(steps):
            began = time.monotonic()
            await worker.end(jobs // steps, _completed_one)
            took_s += time.monotonic() - began
            most = max(most, await _completed_now(queue))
            if most < sizes.kept:
                continue

            async def caught_up() -> bool:
                lazy = (await queue.client.info())["lazyfree_pending_objects"]
                return await _completed_now(queue) <= sizes.kept and not lazy

            await eventually(caught_up, 60, "retention caught up")
            slow += await _slow(queue, "trim")
            points.append((await queue.client.info())["used_memory"])
            setting.tell(f"growth: {(at + 1) * jobs // steps:,} of {jobs:,} completions")
    finally:
        for task in maintenance:
            task.cancel()
        await asyncio.gather(*maintenance, return_exceptions=True)
    return points, most, took_s, slow


async def _trimming(queue: RedisQueue, sizes: Sizes) -> None:
    """What the maintenance does, for another number of jobs."""
    while True:
        await queue.trim(keep=sizes.kept)
        await during(0.1)


async def _completed_now(queue: RedisQueue) -> int:
    return await queue.client.execute_command("ZCARD", queue.keys.index("default", "completed"))


async def _let_all_go(queue: RedisQueue) -> None:
    """As if a day had passed."""
    shift = queue.keys.prefix + "test:clock_shift_us"
    await queue.client.set(shift, (DAY_MS + 1_000) * 1000)
    await queue.trim(spend_s=3600)
    await queue.client.set(shift, 0)


async def _names(queue: RedisQueue) -> set[bytes]:
    """Keys that do not end by themselves."""
    names = {key async for key in queue.client.scan_iter(f"{queue.namespace}:*", count=1000)}
    return {name for name in names if await queue.client.execute_command("PTTL", name) == -1}


async def _slow(queue: RedisQueue, name: str) -> list[int]:
    """Microseconds of the calls of a script that the server noted as slow since the last call of this.

    What is noted is dropped: it takes memory of its own, some kilobytes each.
    """
    digest = script(name, shifted_clock=True).digest.encode()
    found = await queue.client.execute_command("SLOWLOG", "GET", 5000)
    await queue.client.execute_command("SLOWLOG", "RESET")
    return [entry[2] for entry in found if digest in entry[3]]  # number, when, µs, the command


async def _dead(setting: Setting, sizes: Sizes, server: RedisServer) -> list[Row]:
    jobs, rng = sizes.dead, random.Random(setting.seed)
    async with _filler(server, "dead") as (queue, worker):
        before = (await queue.client.info())["used_memory"]
        for at in range(10):
            await worker.end(jobs // 10, _dead_one)
            setting.tell(f"growth: {(at + 1) * jobs // 10:,} of {jobs:,} dead jobs")
        each = ((await queue.client.info())["used_memory"] - before) / jobs
        deep = await _pages(queue, sizes.pages, rng)
        groups = await _group_pages(queue, sizes.pages)
        findings = (await audit(queue)).findings
    return [
        Row("a dead job takes", f"{each:,.0f} bytes of {jobs:,}, its error alone has {len(ERROR)}", "≤ 1,400", each <= 1_400),
        _page_row("a page of 50 dead jobs, anywhere", deep, 0.020),
        _page_row("a page of 50 error groups", groups, 0.020),
        Row("what the auditor finds in the dead", f"{len(findings)}", "0", not findings),
    ]  # fmt: skip


async def _pages(queue: RedisQueue, pages: int, rng: random.Random) -> list[float]:
    """Seconds that each page took, from places all over the list."""
    index = queue.keys.index("default", "dead")
    size = await queue.client.execute_command("ZCARD", index)
    wanted = JobFilter(status=JobStatus.DEAD)
    times: list[float] = []
    for _ in range(pages):
        rank = rng.randrange(size)
        ((member, score),) = await queue.client.execute_command("ZRANGE", index, rank, rank, "WITHSCORES")
        cursor = Position(JobStatus.DEAD, repr(score), member.decode()).to_cursor()
        began = time.monotonic()
        page = await queue.list_jobs(wanted, cursor)
        times.append(time.monotonic() - began)
        assert len(page.jobs) == min(50, rank)
    return times


async def _group_pages(queue: RedisQueue, pages: int) -> list[float]:
    times: list[float] = []
    for at in range(pages):
        began = time.monotonic()
        groups, _, total = await queue.dead_groups(cursor=str(at % 50))
        times.append(time.monotonic() - began)
        assert total == 100 and len(groups) == 50
    return times


def _page_row(what: str, times_s: Sequence[float], at_most_s: float) -> Row:
    half, most = statistics.median(times_s), quantile(times_s, 0.99)
    value = f"p50 {half * 1000:.1f} ms, p99 {most * 1000:.1f} ms of {len(times_s):,}"
    return Row(what, value, f"p99 < {at_most_s * 1000:.0f} ms", most < at_most_s, timed=True)
