"""`ironforge doctor`: is this Redis fit for jobs, and do the books agree? Changes nothing unless --repair is given."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from ironforge import config
from ironforge.cli.books import Check, Progress, Repairs, look_at_books, repair_books
from ironforge.cli.output import add_json, coloured, print_json
from ironforge.errors import StartupError, StoreUnavailable
from ironforge.safe_text import safe_text

if TYPE_CHECKING:
    from ironforge.queue.backend import RedisQueue
    from ironforge.queue.readings import Health

LARGEST_SKEW_S = 5.0
SHOWN = 50


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser(
        "doctor",
        description="Exits 0 only when all is well, and names what is not.",
    )
    add_json(parser)
    parser.add_argument(
        "--acl", action="store_true", help="print the ACL SETUSER line of a least-privilege Redis user"
    )
    parser.add_argument("--sample", type=_count, metavar="N", help="a quick look at about N jobs only")
    parser.add_argument("--repair", action="store_true", help="put right what is safe; asks first")
    parser.add_argument("--yes", action="store_true", help="repair without asking")
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what --repair would do, and change nothing"
    )


def run(args: argparse.Namespace) -> int:
    if args.acl:
        return _print_acl(config.load().namespace)
    args.repair = args.repair or args.dry_run
    if args.repair and args.sample:
        print("ironforge: --repair looks at everything; leave --sample out", file=sys.stderr)
        return 2
    if args.repair and not (args.yes or args.dry_run or sys.stdin.isatty()):
        print(
            "ironforge: --repair asks on a terminal; give --yes, or --dry-run to see first", file=sys.stderr
        )
        return 2
    checks, repairs = asyncio.run(_examine(config.load(), args))
    well = all(check.well for check in checks)
    if args.json:
        report = {"well": well, "checks": [asdict(check) for check in checks]}
        print_json({**report, "repaired": repairs.count, "repairs": repairs.first} if args.repair else report)
    else:
        _print(checks)
    return 0 if well else 1


def _print_acl(namespace: str) -> int:
    from ironforge.queue.acl import acl_line

    print(acl_line(namespace))
    print(
        "Put a password of your own for PASSWORD. With --durability always, add +config|get.", file=sys.stderr
    )
    return 0


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of jobs")
    return int(word)


async def _examine(settings: config.Settings, args: argparse.Namespace) -> tuple[list[Check], Repairs]:
    """The checks, after the repairs that were asked for, and these."""
    from ironforge.forge import Forge

    forge = Forge(settings=settings)
    repairs = Repairs()
    try:
        queue = await forge.connect(check=False)
        health = await queue.health()
        checks = [
            *_server_checks(health.server, health.redis_version, health.policy),
            *_durability(health),
            _clock(health.clock_ms),
            _memory(health.used_memory, health.max_memory),
            await _scripts(queue),
        ]
        if not checks[-1].well:
            return [*checks, Check("books", False, "not looked at, since that takes a script")], repairs
        progress = Progress(sys.stderr.isatty() and not args.json)
        if args.repair:
            repairs = await repair_books(queue, args, progress)
        return checks + await look_at_books(queue, args.sample, progress), repairs
    finally:
        await forge.aclose()


def _server_checks(server: str, version: str, policy: str) -> list[Check]:
    from ironforge.queue.durability import INFO_REFUSED
    from ironforge.queue.namespace import refuse_unsafe

    if policy == INFO_REFUSED:
        advice = "allow it: 'ironforge doctor --acl' prints the rights that are needed"
        return [Check("server", False, f"version, eviction and durability are {policy}", advice)]
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
    return checks


def _durability(health: Health) -> list[Check]:
    """The class found, by the configuration it follows from; and what of it needs a person."""
    from ironforge.queue.durability import INFO_REFUSED, concerns

    if health.policy == INFO_REFUSED:
        return []
    found = concerns(health, health.clock_ms)
    lacking = next((one for one in found if one.rule == "durability"), None)
    detail = f"{health.durability} ({health.persistence})"
    if health.asked == "replicated":
        detail += f", {health.replicas} replica{'' if health.replicas == 1 else 's'}"
    advice = f"{lacking.message}: {lacking.hint}" if lacking else ""
    others = [one for one in found if one.rule in ("replicas", "replica", "disk")]
    return [
        Check("durability", not lacking, detail, advice),
        *(Check(one.rule, False, one.message, one.hint) for one in others),
    ]


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


def _print(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks[:SHOWN]:
        word = "ok" if check.well else "WRONG"
        print(f"{coloured(word)}{' ' * (5 - len(word))} {check.name:<{width}} {safe_text(check.detail, 300)}")
        if check.advice:
            print(f"{'':<5} {'':<{width}} {safe_text(check.advice, 300)}")
    if len(checks) > SHOWN:
        print(f"and {len(checks) - SHOWN:,} more; --json shows them")
