"""Real workers behind the proxy: no worker hangs, no lease is lost, no job runs twice without a reason."""

from __future__ import annotations

from pathlib import Path

from ironforge.embedded import find_server
from tests.faults.proxy import BLACK_HOLE, Cut, some_replies
from tests.faults.replies import script_of
from tests.faults.site import now, runs_again, site
from tests.waiting import eventually

BINARY = Path(find_server()[0])


async def test_a_worker_whose_replies_are_cut_runs_each_job_once_and_keeps_its_lease(tmp_path: Path) -> None:
    async with site(BINARY, tmp_path, "cut") as here:
        chance = some_replies(0.2)
        registered = False

        def decide(rng: object, request: list[bytes]) -> Cut | None:
            nonlocal registered
            if script_of(request) == "register" and not registered:
                registered = True
                return Cut("after")
            return chance(rng, request)  # type: ignore[arg-type]

        here.proxy.decide, here.proxy.name_of = decide, script_of
        (shard,) = await here.direct.all_shards()
        await shard.load_scripts(["register"])  # so that the call which is cut has its effect
        await here.worker("--concurrency", "6")
        jobs = await here.naps(80, 0.02)
        found = await here.all_completed(jobs, 40)
        assert here.starts() == len(jobs) and runs_again(found) == 0
        assert registered and here.proxy.cut["claim"] + here.proxy.cut["settle"] > 3
        here.proxy.decide = lambda _, __: None
        await eventually(lambda: here.proxy.seen["renew"] > 0, 12, "its supervisor keeps the lease")
        assert await here.findings() == []


async def test_when_all_connections_go_dead_at_once_work_goes_on(tmp_path: Path) -> None:
    async with site(BINARY, tmp_path, "dead") as here:
        await here.worker("--concurrency", "6")
        jobs = await here.naps(60, 0.1)
        await eventually(lambda: len(here.ends()) > 6, 20, "work is under way")
        since = now()
        here.proxy.change_existing(BLACK_HOLE)
        found = await here.all_completed(jobs, 40)
        assert here.starts() == len(jobs) and runs_again(found) == 0
        # Handlers that run when it happens end in time; what is settled and claimed comes after the time limit.
        assert here.longest_pause_s(since) < 9, "five seconds, and the wait after the first failure"
        assert await here.findings() == []
