"""Handlers that end their process, keep its loop, or do not end: what becomes of their jobs, and of the others."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass

from ironforge.job import Job, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter
from tests.chaos.arena import Ledger, arena
from tests.chaos.recovery_losses import TARGET, all_ready
from tests.chaos.scorecard import Row, Setting
from tests.queue.state import check_books
from tests.redis_server import RedisServer
from tests.system.bench import ended
from tests.waiting import eventually
from tests.worker.nasty_tasks import RETURNS, WAYS

PILLS = ("kill", "memory", "segfault")
GRACE_S = 5.0
NAMED_S = 5.0  # until /workers shows what blocks a loop
BLOCKERS = {"sleep": "time.sleep", "python": "while time.monotonic", "regex": "re.match"}


async def poison(setting: Setting, server: RedisServer, rng: random.Random) -> list[Row]:
    """One bad job among good ones, again and again, and once for each way to die among a thousand."""
    rounds = [(how, setting.of(1_000, 40)) for how in PILLS]
    rounds += [(rng.choice(PILLS), 40) for _ in range(setting.of(50, 2))]
    pills: list[Job] = []
    good: list[Job] = []
    async with arena(setting, server, "poison") as on:
        on.bench.worker("--concurrency", "20", target=TARGET)
        for at, (how, count) in enumerate(rounds):
            setting.tell(f"poison: round {at + 1} of {len(rounds)}")
            new = [
                NewJob("nap", b'{"mark":%d,"s":%.3f}' % (number, rng.uniform(0, 0.05)))
                for number in range(count)
            ]
            new.insert(
                rng.randrange(len(new)), NewJob("pill", b'{"mark":%d,"how":"%s"}' % (-at - 1, how.encode()))
            )
            found = await ended(on.queue, await on.queue.enqueue_many(new), 120)
            pills += [job for job in found if job.kind == "pill"]
            good += [job for job in found if job.kind == "nap"]
        on.ledger.read()
        await check_books(on.queue)
    exact = sum((job.status, job.reason, job.crashes) == (JobStatus.DEAD, "worker_lost", 3) for job in pills)
    deaths = [len(on.ledger.of[-at - 1]) for at in range(len(rounds))]
    dead = sum(job.status is not JobStatus.COMPLETED for job in good)
    hit = Counter(job.crashes for job in good)
    return [
        Row("poison pills dead after exactly 3 crashes", f"{exact} of {len(pills)} (killed, out of memory, bad pointer)", "all", exact == len(pills)),
        Row("… times one ended its process", f"{min(deaths)} to {max(deaths)}", "3", set(deaths) == {3}),
        Row("… innocent jobs dead", f"{dead} of {len(good):,}", "0", dead == 0),
        Row("… innocent jobs charged with a retry", f"{sum(job.retry_count > 0 for job in good)} of {len(good):,}", "0", not any(job.retry_count for job in good)),
        Row("… innocent jobs that ran beside one, 1 / 2 crashes", f"{hit[1]} / {hit[2]} of {len(good):,}", "none has 3", max(hit) <= 2),
    ]  # fmt: skip


@dataclass(slots=True)
class _Blocked:
    """What was seen of one blocked worker."""

    how: str
    job: Job
    began: float = 0.0
    named_s: float | None = None
    stack: str = ""


async def blocked_loops(setting: Setting, server: RedisServer, rng: random.Random) -> list[Row]:
    """Three workers, each blocked in its own way for a minute; each also holds a job that only waits."""
    limit_s = max(6.0, 60.0 * min(1.0, setting.scale))
    least_lease_s = 99.0
    async with arena(setting, server, "blocked") as on:
        seen: list[_Blocked] = []
        for at, how in enumerate(BLOCKERS):
            on.bench.worker("--queues", how, "--shutdown-timeout", "1", target=TARGET, ready=False)
            nap = NewJob("nap", b'{"mark":%d,"s":600}' % (at + 100), queue=how, timeout_ms=900_000)
            await on.queue.enqueue(nap)
        await all_ready(on.queue, len(BLOCKERS))
        await eventually(lambda: on.ledger.read() is not None and len(on.ledger.of) == 3, 30, "all naps run")
        for at, how in enumerate(BLOCKERS):
            payload = b'{"mark":%d,"how":"%s"}' % (at, how.encode())
            new = NewJob("block", payload, queue=how, timeout_ms=round(limit_s * 1000), max_retries=0)
            seen.append(_Blocked(how, await on.queue.enqueue(new)))
        setting.tell(f"blocked loops: for {limit_s:.0f} s")

        async def over() -> bool:
            nonlocal least_lease_s
            least_lease_s = min([least_lease_s, *await _look(on.queue, on.ledger, seen)])
            found = await on.queue.get_many([one.job.id for one in seen])
            return all(job and job.status is JobStatus.DEAD for job in found)

        await eventually(over, limit_s + GRACE_S + 30, "all three were ended")
        found = [await on.queue.get(one.job.id) for one in seen]
        naps = (await on.queue.list_jobs(JobFilter(kind="nap"), None, 50)).jobs
        rescued = sum((job.lapses, job.crashes, job.retry_count) == (0, 0, 0) for job in naps)
        for job in naps:
            await on.queue.cancel(job.id)
        await ended(on.queue, naps, 30)
        await check_books(on.queue)
    lapsed = sum(job.lapses > 0 for job in [*found, *naps])
    named = [one.named_s or 99.0 for one in seen]
    with_stack = sum(BLOCKERS[one.how] in one.stack for one in seen)
    as_timeout = sum(bool(job.last_error and job.last_error.type == "TimeLimitExceeded") for job in found)
    late = [
        (job.attempts[-1].finished_ms - job.attempts[-1].started_ms) / 1000 - limit_s - GRACE_S
        for job in found
    ]
    return [
        Row(f"loop blocked for {limit_s:.0f} s: leases lost", f"{lapsed} of 3 (least left: {least_lease_s:.1f} s)", "0", least_lease_s > 0 and lapsed == 0),
        Row("… named after, of " + ", ".join(BLOCKERS), " / ".join(f"{s:.1f}" for s in named) + " s", f"≤ {NAMED_S:g} s", max(named) <= NAMED_S),
        Row("… shown with the line it is in", f"{with_stack} of 3", "all", with_stack == 3),
        Row("… failed as out of time", f"{as_timeout} of 3", "all", as_timeout == 3),
        Row("… ended later than limit + grace by", " / ".join(f"{s:.1f}" for s in late) + " s", "0 to 3 s", all(-0.5 <= s <= 3 for s in late)),
        Row("… jobs beside them charged", f"{len(naps) - rescued} of {len(naps)}", "0", rescued == len(naps) == 3),
    ]  # fmt: skip


async def _look(queue: RedisQueue, ledger: Ledger, seen: list[_Blocked]) -> list[float]:
    """Notes who is named meanwhile; what is left of each lease."""
    ledger.read()
    workers = await queue.workers()
    now = time.monotonic()
    for at, one in enumerate(seen):
        shown = [worker.blocked for worker in workers if worker.blocked and one.how in worker.queues]
        if shown and one.named_s is None and ledger.of.get(at):
            one.named_s, one.stack = now - ledger.of[at][0].at, shown[0]["stack"]
    return [worker.lease_s for worker in workers]


async def nasty_ends(setting: Setting, server: RedisServer, rng: random.Random) -> list[Row]:
    """Returns and raises that nobody expects, and tasks that handlers leave behind; all in one process."""
    async with arena(setting, server, "nasty") as on:
        on.bench.worker(target="tests.worker.nasty_tasks:forge")
        looks = [(await ended(on.queue, [await on.queue.enqueue(NewJob("looks"))]))[0]]
        new = [
            NewJob(kind, json.dumps({"way": way}).encode(), max_retries=0)
            for way in WAYS
            for kind in ("nasty", "nasty.thread")
        ]
        rng.shuffle(new)
        found = await ended(on.queue, await on.queue.enqueue_many(new), 120)
        leaving = [NewJob("leaves.tasks", b'{"count":3}') for _ in range(setting.of(1_000, 50))]
        left = await ended(on.queue, await on.queue.enqueue_many(leaving), 120)
        looks += await ended(on.queue, [await on.queue.enqueue(NewJob("looks"))])
        warned = on.bench.log().count("the handler left tasks behind")
        await check_books(on.queue)
    settled = sum(
        job.status is (JobStatus.COMPLETED if job.payload["way"] in RETURNS else JobStatus.DEAD)
        for job in found
    )
    same = looks[0].result[0] == looks[1].result[0]
    completed = sum(job.status is JobStatus.COMPLETED for job in left)
    return [
        Row("nasty returns and raises that settle", f"{settled} of {len(found)}", "all", settled == len(found)),
        Row("… in a process that lives on", "yes" if same else "no", "yes", same and not any(job.crashes for job in found)),
        Row("tasks that handlers left, still there afterwards", f"{looks[1].result[1]} of {3 * len(left):,}", "0", looks[1].result[1] == 0 and completed == len(left)),
        Row("… jobs whose worker warned of it", f"{warned:,} of {len(left):,}", "all", warned == len(left)),
    ]  # fmt: skip


DEAF = ("deaf", "deaf.thread", "deaf.process")


async def deaf_handlers(setting: Setting, server: RedisServer, rng: random.Random) -> list[Row]:
    """Handlers that do not end at their limit or when a person cancels them; the only slot is wanted by another job."""
    limit_s = 10.0  # a process has to be started within it, on a busy machine too
    took: dict[str, list[float]] = {"limit": [], "cancel": []}
    uncharged = True
    cases = [(kind, why) for kind in DEAF for why in took]
    async with arena(setting, server, "deaf") as on:

        async def one(at: int, kind: str, why: str) -> None:
            nonlocal uncharged
            name = f"{kind}.{why}"
            on.bench.worker("--queues", name, "--concurrency", "1", target=TARGET, ready=False)
            timeout_ms = round(limit_s * 1000) if why == "limit" else 600_000
            new = NewJob(kind, b'{"mark":%d}' % at, queue=name, timeout_ms=timeout_ms, max_retries=0)
            job = await on.queue.enqueue(new)
            begun = await eventually(
                lambda: on.ledger.read() is not None and on.ledger.of.get(at), 60, f"{name} runs"
            )
            at_s = begun[0].at + limit_s
            if why == "cancel":
                at_s = time.monotonic()
                await on.queue.cancel(job.id)
            nap = await on.queue.enqueue(NewJob("nap", b'{"mark":%d,"s":0}' % (at + 50), queue=name))
            line = await eventually(
                lambda: on.ledger.read() is not None and on.ledger.of.get(at + 50), 60, f"the slot of {name}"
            )
            took[why].append(line[0].at - at_s)
            wanted = JobStatus.DEAD if why == "limit" else JobStatus.CANCELLED
            found, _ = await ended(on.queue, [job, nap], 30)
            uncharged &= (found.status, found.crashes, found.lapses) == (wanted, 0, 0)

        setting.tell(f"deaf handlers: {len(cases)} ways")
        await asyncio.gather(*(one(at, kind, why) for at, (kind, why) in enumerate(cases)))
        await check_books(on.queue)
    longest = {why: max(values) for why, values in took.items()}
    return [
        Row("handler that does not end: slot back after its limit", f"{longest['limit']:.1f} s at the longest of {len(DEAF)}", f"≤ grace {GRACE_S:g} + 5 s", longest["limit"] <= GRACE_S + 5),
        Row("… after a person's cancel", f"{longest['cancel']:.1f} s at the longest of {len(DEAF)}", f"≤ grace {GRACE_S:g} + 5 s", longest["cancel"] <= GRACE_S + 5),
        Row("… ended as time limit or cancelled, nothing else charged", "all" if uncharged else "not all", "all", uncharged),
    ]  # fmt: skip
