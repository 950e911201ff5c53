"""States in which a Redis is there and yet not as it should be, at the size of the scorecard."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import time
from collections.abc import Awaitable, Callable

from ironforge.errors import StartupError, StoreFull, StoreUnavailable
from ironforge.forge import Forge
from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.auditor import audit
from tests.chaos.pacing import all_row, count_row, during, times_row
from tests.chaos.scorecard import Row, Setting
from tests.durability.scene import Scene, scene
from tests.durability.servers import EMBEDDED, EVERYSEC, FAKETIME, Server, server
from tests.durability.submitter import Submitter, submitting
from tests.durability.test_eviction import EVICTING, FIX
from tests.queue.state import Lane
from tests.system.processes import environment, ironforge
from tests.waiting import eventually

FULL_BYTES = 20_000_000
PADDING = b"x" * 2_000


async def policy_rows(setting: Setting) -> list[Row]:
    """Each eviction policy against a program, the server and the worker; and Redis' own default."""
    refused = 0
    with server(*EVERYSEC, binary=str(setting.redis_server)) as redis:
        for policy in EVICTING:
            redis.config_set(maxmemory_policy=policy)
            refused += await _program_refuses(redis.url)
            for words in (["server", "--bind", "127.0.0.1:0"], ["worker"]):
                refused += await asyncio.to_thread(_process_refuses, words, redis.url)
        redis.config_set(maxmemory_policy="noeviction")
        taken = not await _program_refuses(redis.url)
    return [all_row("evicting policies refused, the fix named (program, server, worker)", refused, 3 * len(EVICTING)), all_row("noeviction is taken", int(taken), 1)]  # fmt: skip


async def _program_refuses(url: str) -> bool:
    try:
        async with Forge(url):
            return False
    except StartupError as refusal:
        return FIX in str(refusal)


def _process_refuses(words: list[str], url: str) -> bool:
    done = subprocess.run(
        ironforge(*words), env=environment(url, "policies"), capture_output=True, text=True, timeout=60
    )
    return done.returncode == 1 and FIX in done.stderr and "Traceback" not in done.stderr


async def full_rows(setting: Setting) -> list[Row]:
    """20 MB: submit until it is refused, drain, submit again."""
    folder = setting.folder / "full"
    folder.mkdir()
    with server(*EVERYSEC, binary=str(setting.redis_server)) as redis:
        async with scene(redis, folder) as on:
            _limit(redis, setting.of(FULL_BYTES, least=1_000_000))
            lane = await Lane(on.queue, "by-hand").register(3_600_000)
            first = await on.queue.enqueue_many([NewJob("padded") for _ in range(20)])
            running = await lane.claim(20)
            jobs = await _fill(on)
            finished = sum([await lane.settle(job, "completed") == "ok" for job in running])
            on.worker("--concurrency", "10")

            async def accepted() -> bool:
                try:
                    jobs.append(await on.queue.enqueue(NewJob("padded", b'{"mark":%d}' % len(jobs))))
                except StoreFull:
                    return False
                return True

            began = time.monotonic()
            await eventually(accepted, 120, "jobs are taken again")
            again_s = time.monotonic() - began
            await eventually(lambda: len(on.bench.lines("ran")) >= len(jobs), 120, "all accepted jobs run")
            ran = {int(line[1]) for line in on.bench.lines("ran")}
            findings = (await audit(on.queue)).findings
    return [
        count_row("full Redis: accepted jobs lost", len(set(range(len(jobs))) - ran), len(jobs) + len(first)),
        all_row("full Redis: running jobs that could finish", finished, len(running)),
        Row("full Redis: new jobs are taken again", f"{again_s:.1f} s after workers came"),
        count_row("full Redis: what the auditor finds", len(findings), len(jobs)),
    ]


def _limit(redis: Server, room: int) -> None:
    with redis.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + room)


async def _fill(on: Scene) -> list[Job]:
    jobs: list[Job] = []
    while True:
        try:
            payload = b'{"mark":%d,"padding":"%s"}' % (len(jobs), PADDING)
            jobs.append(await on.queue.enqueue(NewJob("padded", payload, retention_ms=100)))
        except StoreFull:
            return jobs


async def disk_rows(setting: Setting) -> list[Row]:
    """The disk fills and empties again, under load."""
    folder = setting.folder / "disk"
    folder.mkdir()
    recovered_s: list[float] = []
    accepted_while_full = 0
    rounds = setting.of(20, least=1)
    with server(*EVERYSEC, binary=str(setting.redis_server)) as redis:
        async with scene(redis, folder) as on:
            on.worker()
            async with submitting(on.queue, kind="padded", pause_s=0.005) as submitter:
                for _ in range(rounds):
                    await goes_on(on)
                    await during(0.5)
                    redis.fill_disk()
                    await _is_refused(submitter)
                    before, written = len(submitter.accepted), on.bench.ledger.stat().st_size
                    await during(1.0)
                    accepted_while_full += len(submitter.accepted) - before
                    redis.make_room()
                    began = time.monotonic()
                    await goes_on(on, written)
                    recovered_s.append(time.monotonic() - began)
            await eventually(
                lambda: _completed(on, len(submitter.accepted)), 120, "all that was accepted completes"
            )
            ran = {int(line[1]) for line in on.bench.lines("ran")}
            lapses = await on.lapses()
            findings = (await audit(on.queue)).findings
    return [
        count_row("full disk: accepted jobs lost", len(set(submitter.marks) - ran), len(submitter.marks)),
        count_row("full disk: accepted after the first refusal", accepted_while_full, rounds),
        times_row("full disk: first completion after there is room", recovered_s, 5.0),
        count_row("full disk: leases lost", lapses, rounds),
        count_row("full disk: what the auditor finds", len(findings), len(submitter.marks)),
    ]


async def goes_on(on: Scene, written: int | None = None) -> None:
    """Until a handler has written more to the ledger than there was, or than `written` bytes."""
    before = on.bench.ledger.stat().st_size if written is None else written
    await eventually(lambda: on.bench.ledger.stat().st_size > before, 60, "work goes on")


async def _is_refused(submitter: Submitter) -> None:
    before = submitter.refused.total()
    await eventually(lambda: submitter.refused.total() > before, 20, "a job is refused")


async def busy_rows(setting: Setting) -> list[Row]:
    """Others' scripts of 3 s."""
    rounds = setting.of(10, least=1)

    async def disturb(on: Scene) -> None:
        spin = "local b = os.clock() while os.clock() - b < 3 do end"
        for _ in range(rounds):
            await asyncio.to_thread(_eval, on.redis, spin)
            await during(1.0)

    return await _under_load(setting, "busy", rounds, disturb, "--busy-reply-threshold", "500")


def _eval(redis: Server, text: str) -> None:
    with redis.client() as client:
        client.eval(text, 0)


async def script_rows(setting: Setting) -> list[Row]:
    """SCRIPT FLUSH every 100 ms for 60 s."""
    rounds = setting.of(600, least=20)

    async def disturb(on: Scene) -> None:
        for _ in range(rounds):
            await asyncio.to_thread(_forget, on.redis)
            await during(0.1)

    return await _under_load(setting, "forgotten scripts", rounds, disturb, refusals_allowed=False)


def _forget(redis: Server) -> None:
    with redis.client() as client:
        client.script_flush()


async def clock_rows(setting: Setting) -> list[Row]:
    """Redis' clock an hour forth and back, again and again; at last a worker is lost before it runs back."""
    if not FAKETIME:
        return [Row("clock jumps", "not run: libfaketime is not installed")]
    rounds = setting.of(10, least=2)

    async def disturb(on: Scene) -> None:
        for seconds in itertools.islice(itertools.cycle((3_600, 0, -3_600, 0)), rounds):
            await asyncio.to_thread(on.redis.move_clock, seconds)
            await during(6.0)

    rows = await _under_load(setting, "clock jumps", rounds, disturb, binary=EMBEDDED, faked_clock=True)
    return [*rows, await _lost_before_the_clock_ran_back(setting)]


async def _lost_before_the_clock_ran_back(setting: Setting) -> Row:
    folder = setting.folder / "lost"
    folder.mkdir()
    with server(*EVERYSEC, binary=EMBEDDED, faked_clock=True) as redis:
        async with scene(redis, folder) as on:
            job = await on.queue.enqueue(NewJob("greet"))
            await (await Lane(on.queue, "lost").register()).claim()
            redis.move_clock(-3_600)
            began = time.monotonic()

            async def is_back() -> bool:
                return (await on.queue.get(job.id)).status is JobStatus.QUEUED

            await eventually(is_back, 60, "the job of the lost worker is back")
            took_s = time.monotonic() - began
    return Row("clock jumps: a worker lost before the clock ran back is noticed", f"{took_s:.1f} s later", "≤ 32 s", took_s <= 32)  # fmt: skip


async def _under_load(
    setting: Setting, name: str, rounds: int, disturb: Callable[[Scene], Awaitable[None]], *extra: str,
    refusals_allowed: bool = True, binary: str = "", faked_clock: bool = False,
) -> list[Row]:  # fmt: skip
    """What every one of them has to keep: nothing lost, nothing failed, nobody reaped, the books in order."""
    folder = setting.folder / name.replace(" ", "-")
    folder.mkdir()
    with server(
        *EVERYSEC, *extra, binary=binary or str(setting.redis_server), faked_clock=faked_clock
    ) as redis:
        async with scene(redis, folder) as on:
            on.worker()
            async with submitting(on.queue, kind="padded", pause_s=0.02) as submitter:
                await disturb(on)
            await eventually(
                lambda: _completed(on, len(submitter.accepted)), 120, "all that was accepted completes"
            )
            ran = {int(line[1]) for line in on.bench.lines("ran")}
            failed = (await on.queue.read_stats()).failed
            lapses = await on.lapses()
            findings = (await audit(on.queue)).findings
    accepted, refused = len(submitter.accepted), submitter.refused.total()
    rows = [
        count_row(f"{name}: accepted jobs lost", len(set(submitter.marks) - ran), accepted),
        count_row(f"{name}: attempts that failed", sum(failed.values()), accepted),
        count_row(f"{name}: leases lost", lapses, rounds),
        count_row(f"{name}: what the auditor finds", len(findings), accepted),
    ]
    if not refusals_allowed:
        rows.append(count_row(f"{name}: errors that callers saw", refused, accepted + refused))
    return rows


async def _completed(on: Scene, count: int) -> bool:
    try:
        return sum((await on.queue.read_stats()).completed.values()) >= count
    except StoreUnavailable:
        return False
