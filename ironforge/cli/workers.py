"""`ironforge workers`: who runs what, and which kinds can run."""

from __future__ import annotations

import argparse

from ironforge import config
from ironforge.cli.output import add_json, print_json, print_table


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser("workers", description="Who runs what, and which kinds can run.")
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")
    add_json(verbs.add_parser("list", help="every worker"))
    add_json(verbs.add_parser("tasks", help="the kinds that live workers can run"))


def run(args: argparse.Namespace) -> int:
    from ironforge.cli.client import Client

    with Client(config.load()) as client:
        if args.verb == "tasks":
            document = client.get("/tasks")
            rows = [
                (t["kind"], t["workers"], ",".join(t["queues"]), t["timeout_s"], t["max_retries"])
                for t in document["tasks"]
            ]
            titles: tuple[str, ...] = ("KIND", "WORKERS", "QUEUES", "LIMIT S", "RETRIES")
            empty = "no live worker names its kinds; one handler for all of them names none"
        else:
            document = client.get("/workers")
            rows = [
                (w["id"], w["state"], f"{w['busy']}/{w['concurrency']}", ",".join(w["queues"]), w["beat_age_s"], w["lease_s"], w["done"], w["failed"], w["pid"], w["version"])
                for w in document["workers"]
            ]  # fmt: skip
            titles = (
                "WORKER",
                "STATE",
                "SLOTS",
                "QUEUES",
                "BEAT S",
                "LEASE S",
                "DONE",
                "FAILED",
                "PID",
                "VERSION",
            )
            empty = "no worker; start one with: ironforge worker MODULE:FORGE"
    if args.json:
        print_json(document)
    else:
        print_table(titles, rows, empty)
    return 0
