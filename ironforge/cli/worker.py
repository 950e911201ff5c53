"""`ironforge worker`: runs jobs without a console."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from ironforge import config
from ironforge.cli.options import add_redis_options
from ironforge.errors import ConfigError

DEMO = "ironforge.demo.tasks:forge"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser("worker", description="Runs the jobs of a Forge's tasks until SIGTERM.")
    parser.add_argument(
        "target", nargs="?", metavar="MODULE:FORGE", help="where the tasks are; without it, the demo tasks"
    )
    parser.add_argument(
        "--concurrency", type=int, default=10, metavar="N", help="jobs at once per process (default 10)"
    )
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument(
        "--queues", metavar="A,B", help="queues to serve, most wanted first (default: default)"
    )
    parser.add_argument(
        "--shutdown-timeout",
        type=float,
        default=25.0,
        metavar="S",
        help="running jobs may finish for S seconds (default 25)",
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=5.0,
        metavar="S",
        help="a handler whose time is up, or whose job was cancelled, has S seconds to end (default 5)",
    )
    parser.add_argument(
        "--metrics-addr", metavar="HOST:PORT", help="answer Prometheus about this host's worker processes"
    )
    add_redis_options(parser)


def _leave(*_: object) -> None:
    os._exit(0)


def run(args: argparse.Namespace) -> int:
    # Asked to stop before there is anything to stop: while the rest is imported.
    signal.signal(signal.SIGTERM, _leave)
    if args.durability:  # its child processes, and what their handlers submit, go by it too
        os.environ["IRONFORGE_DURABILITY"] = args.durability
    settings = config.load(shards=args.shards)
    if args.concurrency < 1 or args.processes < 1:
        raise ConfigError("--concurrency and --processes must be at least 1")
    if not args.shutdown_timeout >= 0 or not args.grace >= 0:
        raise ConfigError("--shutdown-timeout and --grace must not be negative")

    from ironforge import lifeline, logs
    from ironforge.worker.loops import run_loop
    from ironforge.worker.supervisor import Supervisor, WorkerOptions

    lifeline.watch(hard_exit_after_s=args.shutdown_timeout + 15)
    logs.configure(settings.log, settings.log_format)
    options = WorkerOptions(
        target=args.target or DEMO,
        concurrency=args.concurrency,
        processes=args.processes,
        queues=_queues(args),
        shutdown_timeout_s=args.shutdown_timeout,
        grace_s=args.grace,
        log=settings.log,
        log_format=settings.log_format or ("console" if sys.stderr.isatty() else "json"),
        allow_unsafe=args.allow_unsafe_redis,
        metrics_addr=args.metrics_addr,
        shards=settings.shards,
    )
    return run_loop(Supervisor(options).run())


def _queues(args: argparse.Namespace) -> tuple[str, ...]:
    if args.queues is None:
        if args.target is None:
            from ironforge.demo.tasks import QUEUES

            return QUEUES
        return ("default",)
    from ironforge.job import NAME_PATTERN

    queues = tuple(dict.fromkeys(name.strip() for name in args.queues.split(",") if name.strip()))
    for name in queues:
        if not NAME_PATTERN.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot be a queue: use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit"
            )
    if not queues:
        raise ConfigError("--queues names no queue")
    return queues
