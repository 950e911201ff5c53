"""`ironforge doctor`: is this Redis fit for jobs, and do the books agree? Changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ironforge import config
from ironforge.cli.output import add_json, coloured, print_json
from ironforge.errors import StartupError, StoreUnavailable
from ironforge.safe_text import safe_text

if TYPE_CHECKING:
    from ironforge.queue.auditor import Audit, Finding
    from ironforge.queue.backend import RedisQueue

LARGEST_SKEW_S = 5.0
SHOWN = 50
# By the rule that was broken. {key} is where it stands, {subject} the job or group.
REWRITE = "note its payload (HGET {key} payload), DEL {key} and its index entries, and submit it again"
ADVICE = {
    "ghost": "it can never run, and is counted; to be rid of it: ZREM {key} {subject}",
    "not_indexed": "it will never run: note its payload (HGET {key} payload), DEL {key}, and submit it again",
    "unknown_queue": "its due jobs are not promoted: submit any job to this queue, which makes it known",
    "unclaimed": "it runs nowhere and never ends: " + REWRITE,
    "claim": "to be rid of it: SREM {key} {subject}",
    "claimed": "it is dropped when that worker ends",
    "suspect": "it runs, but not in the company it should have; cancel and retry it to have it placed again",
    "group": "'ironforge dlq groups' may count it wrong; retry or delete the job",
    "other_group": "'ironforge dlq groups' counts it twice; to be rid of it: ZREM {key} {subject}",
    "group_count": "the list of groups shows a wrong count; ZADD the right one to {key}",
    "damaged": "something else wrote this key: DEL {key}",
}


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
        description="Exits 0 only when all is well, and names what is not.",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    show_progress = sys.stderr.isatty() and not args.json
    try:
        checks = asyncio.run(_checks(config.load(), _tell if show_progress else lambda _: None))
    finally:
        if show_progress:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if args.json:
        print_json(
            {"well": all(check.well for check in checks), "checks": [asdict(check) for check in checks]}
        )
    else:
        _print(checks)
    return 0 if all(check.well for check in checks) else 1


async def _checks(settings: config.Settings, tell: Callable[[Audit], None]) -> list[Check]:
    from ironforge.forge import Forge

    forge = Forge(settings=settings)
    try:
        queue = await forge.connect(check=False)
        health = await queue.health()
        checks = [
            *_server_checks(health.server, health.redis_version, health.policy, health.durability),
            _clock(health.clock_ms),
            _memory(health.used_memory, health.max_memory),
            await _scripts(queue),
        ]
        if checks[-1].well:
            return checks + await _books(queue, tell)
        return [*checks, Check("books", False, "not looked at, since that takes a script")]
    finally:
        await forge.aclose()


def _server_checks(server: str, version: str, policy: str, durability: str) -> list[Check]:
    from ironforge.queue.namespace import refuse_unsafe

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


async def _scripts(queue: RedisQueue) -> Check:
    """Every script is compiled by this server."""
    from importlib.resources import files

    paths = (files("ironforge.queue") / "lua").iterdir()
    names = sorted(path.name[:-4] for path in paths if path.name.endswith(".lua") and path.name[0] != "_")
    try:
        for shard in await queue.all_shards():
            await shard.load_scripts(names)
    except StoreUnavailable:
        raise
    except (
        Exception
    ) as error:  # whatever the server says against one: a right that this user lacks, a renamed command
        advice = "give this user the right to run scripts (EVAL, EVALSHA, SCRIPT)"
        return Check("scripts", False, f"the server refuses them: {error}", advice)
    return Check("scripts", True, f"{len(names)} compiled")


async def _books(queue: RedisQueue, tell: Callable[[Audit], None]) -> list[Check]:
    from ironforge.queue.auditor import audit

    found = await audit(queue, tell=tell)
    looked = f"{found.jobs:,} jobs and {found.entries:,} index entries looked at"
    if not found.findings:
        return [Check("books", True, looked)]
    more = "" if found.whole else ", the rest was not looked at"
    advice = "what is named below was changed by hand, or by a bug: please report it if nobody did"
    return [
        Check("books", False, f"{len(found.findings):,} findings; {looked}{more}", advice),
        *(Check(one.rule, False, f"{one.subject} {one.detail}", _advice(one)) for one in found.findings),
    ]


def _advice(finding: Finding) -> str:
    return ADVICE.get(finding.rule, REWRITE).format(key=finding.key, subject=finding.subject)


def _tell(found: Audit) -> None:
    """Progress on a terminal."""
    words = f"{found.jobs:,} jobs, {found.entries:,} index entries"
    print(f"\r\x1b[K{words} looked at", end="", file=sys.stderr, flush=True)


def _print(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks[:SHOWN]:
        word = "ok" if check.well else "WRONG"
        print(f"{coloured(word)}{' ' * (5 - len(word))} {check.name:<{width}} {safe_text(check.detail, 300)}")
        if check.advice:
            print(f"{'':<5} {'':<{width}} {safe_text(check.advice, 300)}")
    if len(checks) > SHOWN:
        print(f"and {len(checks) - SHOWN:,} more; --json shows them")
