"""`ironforge queues`: list, stats, pause, resume."""

from __future__ import annotations

import argparse

from ironforge import config
from ironforge.cli.output import add_json, print_json, print_table
from ironforge.safe_text import safe_text


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser("queues", description="Lists, pauses and resumes queues.")
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")
    add_json(verbs.add_parser("list", help="every queue now"))
    add_json(verbs.add_parser("stats", help="all queues together, and what needs attention"))
    for verb, words in (("pause", "hand out nothing; what runs goes on"), ("resume", "hand out jobs again")):
        switch = verbs.add_parser(verb, help=words)
        switch.add_argument("name", metavar="QUEUE")
        add_json(switch)


def run(args: argparse.Namespace) -> int:
    from ironforge.cli.client import Client, segment

    with Client(config.load()) as client:
        match args.verb:
            case "list":
                document = client.get("/queues")
                rows = [
                    (q["name"], "paused" if q["paused"] else "", q["queued"], q["running"], q["scheduled"], q["retrying"], q["dead"], q["oldest_s"], q["out_per_s"], q["workers"])
                    for q in document["queues"]
                ]  # fmt: skip
                titles = (
                    "QUEUE",
                    "",
                    "QUEUED",
                    "RUNNING",
                    "SCHEDULED",
                    "RETRYING",
                    "DEAD",
                    "OLDEST S",
                    "DONE/S",
                    "WORKERS",
                )
                print_json(document) if args.json else print_table(titles, rows, "no queue")
            case "stats":
                document = client.get("/queues/stats")
                if args.json:
                    print_json(document)
                else:
                    plain = [(name, value) for name, value in document.items() if name != "attention"]
                    print_table(("", "NOW"), plain, "")
                    for found in document["attention"]:
                        print(safe_text(f"! {found['message']}  ({found['hint']})"))
            case _:
                document = client.post(f"/queues/{segment(args.name)}/{args.verb}")
                print_json(document) if args.json else print(
                    f"{args.name} {'paused' if document['paused'] else 'resumed'}"
                )
    return 0
