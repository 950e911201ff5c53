"""`ironforge dlq`: dead jobs, by error and one by one."""

from __future__ import annotations

import argparse
from typing import Any

from ironforge import config
from ironforge.cli.jobs import change, print_jobs
from ironforge.cli.output import add_json, print_json, print_table
from ironforge.errors import ConfigError

MOST = 200


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("dlq", help="dead jobs: groups, list, retry, delete")
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")
    add_json(verbs.add_parser("groups", help="dead jobs by the error they died of"))
    listing = verbs.add_parser("list", help="dead jobs, the newest first")
    listing.add_argument("--group", metavar="FINGERPRINT")
    listing.add_argument("--queue")
    listing.add_argument("--limit", type=int, default=50)
    listing.add_argument("--cursor")
    add_json(listing)
    for verb, words in (("retry", "back to their queues"), ("delete", "remove for good")):
        change_ = verbs.add_parser(verb, help=words)
        change_.add_argument("ids", nargs="*", metavar="ID")
        change_.add_argument("--group", metavar="FINGERPRINT", help=f"the jobs of a group, at most {MOST}")
        add_json(change_)


def run(args: argparse.Namespace) -> int:
    from ironforge.cli.client import Client

    with Client(config.load()) as client:
        match args.verb:
            case "groups":
                return _groups(client, args)
            case "list":
                page = client.get(
                    "/jobs",
                    status="dead",
                    error=args.group,
                    queue=args.queue,
                    limit=args.limit,
                    cursor=args.cursor,
                )
                print_json(page) if args.json else print_jobs(page)
                return 0
            case _:
                return change(client, args.verb, _ids(client, args), args)


def _ids(client: Any, args: argparse.Namespace) -> list[str]:
    if bool(args.ids) == bool(args.group):
        raise ConfigError(f"name the jobs to {args.verb} by ID, or a --group")
    if args.ids:
        return args.ids
    return [job["id"] for job in client.get("/jobs", status="dead", error=args.group, limit=MOST)["jobs"]]


def _groups(client: Any, args: argparse.Namespace) -> int:
    document = client.get("/dlq/groups", limit=MOST)
    if args.json:
        print_json(document)
        return 0
    rows = [
        (group["fingerprint"], group["count"], group["kind"], group["queue"], group["last_at"], f"{group['error_type']}: {group['error_message']}")
        for group in document["groups"]
    ]  # fmt: skip
    print_table(("GROUP", "JOBS", "KIND", "QUEUE", "LAST", "ERROR"), rows, "nothing is dead")
    return 0
