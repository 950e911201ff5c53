"""`ironforge doctor`: is this Redis fit for jobs, and do the books agree? Changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import asdict, dataclass

from ironforge import config
from ironforge.cli.output import add_json, print_json
from ironforge.errors import StartupError
from ironforge.safe_text import safe_text

LARGEST_SKEW_S = 5.0
SHOWN = 50


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `advice` says what to do where it is not well."""

    name: str
    well: bool
    detail: str
    advice: str = ""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser(
        "doctor",
        help="check Redis and the books",
        description="Exits 0 only when all is well, and names what is not.",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    checks = asyncio.run(_checks(config.load()))
    if args.json:
        print_json(
            {"well": all(check.well for check in checks), "checks": [asdict(check) for check in checks]}
        )
    else:
        for check in checks[:SHOWN]:
            print(f"{'ok' if check.well else 'WRONG':<5} {check.name:<12} {safe_text(check.detail, 300)}")
            if check.advice:
                print(f"{'':<5} {'':<12} {check.advice}")
        if len(checks) > SHOWN:
            print(f"and {len(checks) - SHOWN} more; --json shows up to 1,000")
    return 0 if all(check.well for check in checks) else 1


async def _checks(settings: config.Settings) -> list[Check]:
    from ironforge.forge import Forge

    forge = Forge(settings=settings)
    try:
        queue = await forge.connect(check=False)
        health = await queue.health()
        return [
            *_server_checks(health.server, health.redis_version, health.policy, health.durability),
            _clock(health.clock_ms),
            _memory(health.used_memory, health.max_memory),
            await _scripts(queue),
            *await _books(queue),
        ]
    finally:
        await forge.aclose()


def _server_checks(server: str, version: str, policy: str, durability: str) -> list[Check]:
    from ironforge.queue.store import refuse_unsafe

    checks: list[Check] = []
    for name, info, detail in (
        ("server", {"redis_version": version}, server),
        ("eviction", {"redis_version": "7.0", "maxmemory_policy": policy}, f"maxmemory-policy {policy}"),
    ):
        try:
            refuse_unsafe(info)
            checks.append(Check(name, True, detail))
        except StartupError as error:
            checks.append(Check(name, False, detail, str(error)))
    advice = "jobs are lost when Redis restarts: set appendonly yes" if durability == "none" else ""
    checks.append(Check("durability", durability != "none", durability, advice))
    return checks


def _clock(clock_ms: int) -> Check:
    skew_s = clock_ms / 1000 - time.time()
    well = abs(skew_s) <= LARGEST_SKEW_S
    advice = (
        ""
        if well
        else "all times are Redis' own, so jobs are safe; ids and logs of this machine disagree with them"
    )
    return Check("clock", well, f"Redis is {skew_s:+.1f} s from this machine", advice)


def _memory(used: int, most: int) -> Check:
    if not most:
        return Check("memory", True, f"{used / 2**20:.0f} MiB used, no limit set")
    share = used / most
    advice = (
        "" if share < 0.9 else "new jobs are refused when it is full; raise maxmemory, or let dead jobs go"
    )
    return Check("memory", share < 0.9, f"{share:.0%} of {most / 2**20:.0f} MiB used", advice)


async def _scripts(queue: object) -> Check:
    """Every script is compiled by this server."""
    from importlib.resources import files

    from ironforge.queue.backend import RedisQueue

    assert isinstance(queue, RedisQueue)
    names = sorted(
        path.name[:-4] for path in (files("ironforge.queue") / "lua").iterdir() if path.name.endswith(".lua")
    )
    names = [name for name in names if not name.startswith("_")]
    await queue.load_scripts(names)
    return Check("scripts", True, f"{len(names)} compiled")


async def _books(queue: object) -> list[Check]:
    from ironforge.queue.auditor import audit
    from ironforge.queue.backend import RedisQueue

    assert isinstance(queue, RedisQueue)
    found = await audit(queue)
    looked = f"{found.jobs:,} jobs and {found.entries:,} index entries looked at"
    if not found.findings:
        return [Check("books", True, looked)]
    checks = [Check("books", False, f"{len(found.findings)} findings; {looked}")]
    for finding in found.findings:
        advice = {
            "ghost": "a worker or a trim drops it when it gets there; ZREM it to be rid of it now",
            "not_indexed": "it will never run: note its payload, delete the hash and submit it again",
        }.get(finding.rule, "")
        checks.append(Check(finding.rule, False, f"{finding.subject} {finding.detail}", advice))
    return checks
