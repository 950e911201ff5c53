"""`ironforge dlq`: dead jobs, by error and one by one."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ironforge import config
from ironforge.cli.jobs import change, print_jobs
from ironforge.cli.output import add_json, print_json, print_table
from ironforge.errors import ConfigError, IronForgeError

MOST = 200


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser("dlq", description="Dead jobs, by error and one by one.")
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")
    groups = verbs.add_parser("groups", help="dead jobs by the error they died of")
    groups.add_argument("--limit", type=int, default=50, metavar="N", help=f"1 to {MOST} (default 50)")
    groups.add_argument("--cursor", help="where the page before ended")
    add_json(groups)
    listing = verbs.add_parser("list", help="dead jobs, the newest first")
    listing.add_argument("--group", metavar="FINGERPRINT", help="of one error group")
    listing.add_argument("--queue", metavar="NAME", help="of one queue")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help=f"1 to {MOST} (default 50)")
    listing.add_argument("--cursor", help="where the page before ended")
    add_json(listing)
    for verb, words in (("retry", "back to their queues"), ("delete", "remove for good")):
        several = verbs.add_parser(verb, help=words)
        several.add_argument("ids", nargs="*", metavar="ID")
        several.add_argument("--group", metavar="FINGERPRINT", help=f"the jobs of a group, at most {MOST}")
        add_json(several)


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
                return _change(client, args)


def _groups(client: Any, args: argparse.Namespace) -> int:
    document = client.get("/dlq/groups", limit=args.limit, cursor=args.cursor)
    if args.json:
        print_json(document)
        return 0
    rows = [
        (group["fingerprint"], group["count"], group["kind"], group["queue"], group["last_at"], f"{group['error_type']}: {group['error_message']}")
        for group in document["groups"]
    ]  # fmt: skip
    print_table(("GROUP", "JOBS", "KIND", "QUEUE", "LAST", "ERROR"), rows, "nothing is dead")
    if document["next_cursor"]:
        print(f"more: --cursor {document['next_cursor']}")
    return 0


def _change(client: Any, args: argparse.Namespace) -> int:
    if bool(args.ids) == bool(args.group):
        raise ConfigError(f"name the jobs to {args.verb} by ID, or a --group")
    if args.ids:
        return change(client, args.verb, args.ids, args, only="dead")
    ids, more = _of_group(client, args.group)
    if not ids:
        raise IronForgeError(f"no dead job is in group {args.group!r}; 'ironforge dlq groups' lists them")
    code = change(client, args.verb, ids, args, only="dead")
    if more:
        print(f"the group holds more than {MOST}: run this again for the next ones", file=sys.stderr)
    return code


def _of_group(client: Any, group: str) -> tuple[list[str], bool]:
    """Up to `MOST` ids, and whether there are more. A page may be short, so it takes as many as needed."""
    ids: list[str] = []
    cursor: str | None = None
    while len(ids) < MOST:
        page = client.get("/jobs", status="dead", error=group, limit=MOST - len(ids), cursor=cursor)
        ids += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if not cursor:
            return ids, False
    return ids, bool(client.get("/jobs", status="dead", error=group, limit=1, cursor=cursor)["jobs"])
