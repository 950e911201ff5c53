"""Black holes, broken and slow connections, more callers than connections: nothing hangs, nothing is lost, memory is bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.chaos.pacing import all_row, count_row, during, quantile, until
from tests.chaos.scorecard import Row, Setting
from tests.faults.api import api, new_keys, submit_at_once
from tests.faults.batches import cut_batch
from tests.faults.proxy import BLACK_HOLE, CLEAR, FaultProxy, Flow
from tests.faults.site import Site, now, runs_again, site
from tests.redis_server import private_redis
from tests.waiting import eventually

NOTICED_S = 5.0
SLACK_S = 1.0  # what a busy machine may add to a time limit of five seconds
BACK_S = 11.0  # the longest wait between two tries, and one more try that fails
GROWTH = 50 * 1024 * 1024


async def run(setting: Setting) -> list[Row]:
    parts = (_holes, _breaks, _kills, _slow, _crowd, _hungry, _batches)
    rows: list[Row] = []
    for part in parts:
        setting.tell(f"network: {part.__name__.strip('_')}")
        rows += await part(setting)
    return rows


async def _holes(setting: Setting) -> list[Row]:
    """A worker falls into a black hole; another one, which does not, runs what it held."""
    rows: list[Row] = []
    ways = {
        "both ways": (BLACK_HOLE, 60.0),
        "requests only": (Flow(swallow=("to_server",)), 20.0),
        "replies only": (Flow(swallow=("to_client",)), 20.0),
        "held, and delivered at its end": (Flow(hold=True), 20.0),
    }
    for at, (words, (flow, full_s)) in enumerate(ways.items()):
        seconds = max(8.0, full_s * min(1.0, setting.scale))
        setting.tell(f"network: black hole, {words}, {seconds:.0f} s")
        async with site(setting.redis_server, setting.folder, f"hole{at}") as here:
            rows += await _hole(here, flow, seconds, f"black hole of {seconds:.0f} s ({words})")
    return rows


async def _hole(here: Site, flow: Flow, seconds: float, what: str) -> list[Row]:
    await here.worker("--concurrency", "4")
    await here.worker("--concurrency", "4", near=True)
    jobs = await here.naps(round(8 * (seconds + 30) / 0.5), 0.45)
    await eventually(lambda: len(here.ends()) > 16, 30, "work is under way")
    pids = {line[2] for line in here.bench.lines("start")}
    began = now()
    here.proxy.flow = flow
    if flow == BLACK_HOLE:
        here.proxy.change_existing(flow)
    await eventually(lambda: "waiting for it" in here.bench.log(), 30, "the worker notices")
    noticed_s = now() - began
    await until(began + seconds)
    here.proxy.flow = CLEAR
    over = now()

    def is_back() -> bool:
        """Its log says so, or it was replaced: then another process runs jobs."""
        return "Redis is back" in here.bench.log() or bool({x[2] for x in here.bench.lines("start")} - pids)

    await eventually(is_back, 60, "the worker is back")
    back_s = now() - over
    found = await here.all_completed(jobs, 180)
    explained = sum(
        job.lapses + job.crashes + sum(a.outcome == "released" for a in job.attempts) for job in found
    )
    findings = await here.findings()
    return [
        Row(f"{what}: noticed after", f"{noticed_s:.1f} s", f"≤ {NOTICED_S:g} s (+{SLACK_S:g})", noticed_s <= NOTICED_S + SLACK_S),
        Row("… over: the worker is back after", f"{back_s:.1f} s", f"≤ {BACK_S:g} s", back_s <= BACK_S),
        all_row("… jobs completed, none lost", len(found), len(jobs)),
        count_row("… runs again that no loss explains", max(0, here.starts() - len(jobs) - explained), here.starts()),
        count_row("… what the auditor finds", len(findings), len(jobs)),
    ]  # fmt: skip


async def _breaks(setting: Setting) -> list[Row]:
    """Every existing connection breaks at once, again and again, in three ways; new ones work."""
    rounds = setting.of(12, 3)
    async with site(setting.redis_server, setting.folder, "breaks") as here:
        pid = await here.worker("--concurrency", "8", "--processes", "2")
        jobs = await here.naps(rounds * 16 * 16, 0.4)
        await eventually(lambda: len(here.ends()) > 32, 30, "work is under way")
        ways: list[tuple[str, Callable[[], object]]] = [
            ("dead", lambda: here.proxy.change_existing(BLACK_HOLE)),
            ("half-open", here.proxy.half_open_all),
            ("reset", here.proxy.reset_all),
        ]
        before = here.descriptors(pid)
        pauses: dict[str, list[float]] = {}
        for at in range(rounds):
            words, break_all = ways[at % 3]
            since = now()
            break_all()
            await during(9)
            pauses.setdefault(words, []).append(here.longest_pause_s(since, now()))
        found = await here.all_completed(jobs, 180)
        after = here.descriptors(pid)
        return [
            *(
                Row(f"all connections {words} at once: longest pause of the work", f"{max(times):.1f} s of {len(times)}", "≤ 7 s", max(times) <= 7)
                for words, times in pauses.items()
            ),
            count_row("… leases lost", sum(job.lapses for job in found), len(found)),
            count_row("… jobs that ran again", here.starts() - len(jobs), len(jobs)),
            Row("… descriptors before and after", f"{before}, {after}", "≤ 110 %", after <= before * 1.1 + 2),
            count_row("… what the auditor finds", len(await here.findings()), len(jobs)),
        ]  # fmt: skip


async def _kills(setting: Setting) -> list[Row]:
    """An operator of Redis ends connections at random."""
    kills = setting.of(300, 30)
    rng = Random(setting.seed)
    async with site(setting.redis_server, setting.folder, "kills") as here:
        await here.worker("--concurrency", "8")
        jobs = await here.naps(kills * 8, 0.05)
        await eventually(lambda: len(here.ends()) > 8, 30, "work is under way")
        client, done = here.direct.client, 0
        own = {await client.execute_command("CLIENT", "ID")}
        while done < kills:
            listed = await client.execute_command("CLIENT", "LIST", "TYPE", "NORMAL")
            ids = [
                int(part[3:])
                for line in listed.decode().splitlines()
                for part in line.split()
                if part.startswith("id=")
            ]
            others = [one for one in ids if one not in own]
            if others:
                done += await client.execute_command("CLIENT", "KILL", "ID", str(rng.choice(others)))
            await during(0.05)
        found = await here.all_completed(jobs, 120)
        return [
            Row("connections killed by the server at random", f"{done}"),
            all_row("… jobs completed", len(found), len(jobs)),
            count_row("… jobs that ran again", here.starts() - len(jobs) + runs_again(found), len(jobs)),
            count_row("… what the auditor finds", len(await here.findings()), len(jobs)),
        ]  # fmt: skip


async def _slow(setting: Setting) -> list[Row]:
    """One byte a second, and half a second of lag, for a worker and a server that are asked all the time."""
    seconds = max(10.0, 60.0 * min(1.0, setting.scale))
    async with site(setting.redis_server, setting.folder, "slow") as here, api(here) as server:
        worker = await here.worker("--concurrency", "20")
        await here.naps(20, 0.01)
        await submit_at_once(server.url, new_keys(60))
        jobs = await here.naps(2_000, 0.01)
        before = here.rss_bytes(worker) + here.rss_bytes(server.pid)
        sent: list[str] = []
        late = 0.0
        most = 0
        for flow in (Flow(lag_s=0.5), Flow(bytes_per_s=1), Flow(lag_s=0.5)):
            here.proxy.flow = flow
            ends_at = now() + seconds
            while now() < ends_at:
                keys = new_keys(20)
                answers = await submit_at_once(server.url, keys)
                sent += keys
                late = max(late, *answers.took_s)
                most = max(most, here.rss_bytes(worker) + here.rss_bytes(server.pid))
        here.proxy.flow = CLEAR
        here.proxy.reset_all()
        left = sent
        while left:
            left = (await submit_at_once(server.url, left)).keys_left
        found = await here.all_completed(jobs, 240)
        asked = (await here.direct.read_queue("asked")).queued
        growth = most - before
        return [
            Row(f"slow network, {3 * seconds:.0f} s (0.5 s lag, 1 byte/s, lag): memory of worker and server grew by", f"{growth / 2**20:.1f} MiB", "< 50 MiB", growth < GROWTH),
            Row("… slowest answer of the server", f"{late:.1f} s of {len(sent)}", "≤ 5 s (+1)", late <= 6),
            all_row("… jobs completed", len(found), len(jobs)),
            all_row("… jobs of the keys, sent again until acknowledged", asked, len(sent) + 60),
            count_row("… what the auditor finds", len(await here.findings()), len(jobs)),
        ]  # fmt: skip


async def _crowd(setting: Setting) -> list[Row]:
    """500 requests at once at a server with 50 slow connections, while a worker shares the way."""
    rounds = setting.of(10, 2)
    async with site(setting.redis_server, setting.folder, "crowd") as here, api(here) as server:
        await here.worker("--concurrency", "4")
        jobs = await here.naps(60 * rounds, 0.3)
        keys: list[str] = []
        took: list[float] = []
        bare = refused = other = 0
        for at in range(rounds):
            here.proxy.flow = Flow(lag_s=(0.1, 0.4)[at % 2])
            mine = left = new_keys(500)
            keys += mine
            while left:
                answers = await submit_at_once(server.url, left)
                took += answers.took_s
                bare += answers.without_retry_after
                refused += answers.statuses[503]
                other += answers.statuses.total() - sum(answers.statuses[word] for word in (200, 201, 503))
                left = answers.keys_left
                here.proxy.flow = CLEAR
        found = await here.all_completed(jobs, 180)
        asked = (await here.direct.read_queue("asked")).queued
        longest = max(took)
        return [
            Row("500 requests at once, 50 connections: waits", f"p50 {quantile(took, 0.5):.2f} s, longest {longest:.2f} s of {len(took):,}", "≤ 5 s (+1)", longest <= 6),
            Row("… answered 503, with Retry-After", f"{refused:,} of {len(took):,}", "all of them say when", bare == 0),
            count_row("… answers that are neither 200, 201 nor 503", other, len(took)),
            all_row("… jobs of the keys, sent again until acknowledged", asked, len(keys)),
            count_row("… leases lost meanwhile", sum(job.lapses for job in found), len(found)),
        ]  # fmt: skip


async def _hungry(setting: Setting) -> list[Row]:
    """Handlers use up every connection of their worker: its lease is renewed by another process."""
    seconds = max(20.0, 60.0 * min(1.0, setting.scale))
    async with site(setting.redis_server, setting.folder, "hungry") as here:
        await here.worker("--concurrency", "4")
        here.proxy.flow = Flow(lag_s=0.1)
        body = b'{"calls":250,"s":%d}' % seconds
        jobs = await here.direct.enqueue_many([NewJob("net.hungry", body) for _ in range(3)])
        found = await here.all_completed(jobs, seconds + 60)
        answered = sum(int(job.result) for job in found)
        return [
            Row(f"handlers keep 750 calls under way for {seconds:.0f} s", f"{answered:,} answered", "more than 0", answered > 0),
            count_row("… leases lost", sum(job.lapses + job.crashes for job in found), len(found)),
            count_row("… jobs that ran again", here.starts() - len(jobs), len(jobs)),
        ]  # fmt: skip


async def _batches(setting: Setting) -> list[Row]:
    step = max(1, round(1 / setting.scale))
    with private_redis(binary=setting.redis_server) as server:
        async with (
            FaultProxy(server.url, server.folder, seed=setting.seed) as proxy,
            RedisQueue(proxy.url, "batches") as through,
            RedisQueue(server.url, "batches") as direct,
        ):
            found = await asyncio.wait_for(
                cut_batch(proxy, through, direct, Random(setting.seed), step), 1_200
            )
    what = f"a batch of 100 jobs, its {found.bytes_of_request:,} bytes cut at every {step}."
    return [
        Row(f"{what} byte, and its reply of {found.bytes_of_reply:,}", f"{found.requests_cut:,} and {found.replies_cut:,} cuts"),
        count_row("… batches of which a job was not whole, or not absent", len(found.wrong), found.requests_cut + found.replies_cut),
    ]  # fmt: skip
