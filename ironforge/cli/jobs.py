"""`ironforge jobs`: list, show, retry, run, cancel, delete."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from ironforge import config
from ironforge.cli.output import add_json, error_words, indented, print_json, print_table
from ironforge.safe_text import safe_text

STATUSES = ("scheduled", "queued", "running", "retrying", "completed", "dead", "cancelled")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser("jobs", description="Lists, shows and changes jobs.")
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")
    listing = verbs.add_parser("list", help="a page of jobs")
    listing.add_argument("--status", choices=STATUSES, metavar="STATUS", help=", ".join(STATUSES))
    for name in ("queue", "kind", "tag"):
        listing.add_argument(f"--{name}", metavar=name.upper())
    listing.add_argument("--error", metavar="FINGERPRINT", help="dead jobs of one error group")
    listing.add_argument("--q", metavar="TEXT", help="found in payload, kind, id or error")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="1 to 200 (default 50)")
    listing.add_argument("--cursor", help="where the page before ended")
    add_json(listing)
    show = verbs.add_parser("show", help="one job, whole")
    show.add_argument("ids", nargs=1, metavar="ID")
    add_json(show)
    for verb, words in (
        ("retry", "dead or cancelled → queued"),
        ("run", "scheduled or retrying → queued now"),
        ("cancel", "stop a live job"),
        ("delete", "remove jobs that do not run"),
    ):
        change = verbs.add_parser(verb, help=words)
        change.add_argument("ids", nargs="+", metavar="ID")
        if verb == "retry":
            change.add_argument(
                "--keep-retry-count", action="store_true", help="do not count its retries from 0 again"
            )
        add_json(change)


def run(args: argparse.Namespace) -> int:
    from ironforge.cli.client import Client

    with Client(config.load()) as client:
        match args.verb:
            case "list":
                return _list(client, args)
            case "show":
                return _show(client, args)
            case _:
                return change(client, args.verb, args.ids, args)


def _list(client: Any, args: argparse.Namespace) -> int:
    page = client.get(
        "/jobs", status=args.status, queue=args.queue, kind=args.kind, tag=args.tag, error=args.error, q=args.q,
        limit=args.limit, cursor=args.cursor,
    )  # fmt: skip
    if args.json:
        print_json(page)
    else:
        print_jobs(page)
    return 0


def print_jobs(page: dict[str, Any]) -> None:
    rows = [
        (job["id"], job["kind"], job["queue"], job["status"], job["priority"], f"{job['retry_count']}/{job['max_retries']}", job["created_at"], error_words(job))
        for job in page["jobs"]
    ]  # fmt: skip
    # A page of a filter that matches rarely may be empty though there are matches further on.
    empty = "none among the jobs looked at so far" if page["next_cursor"] else "no such job"
    print_table(("ID", "KIND", "QUEUE", "STATUS", "PRIORITY", "RETRIES", "CREATED", "ERROR"), rows, empty)
    if page["next_cursor"]:
        print(f"more: --cursor {page['next_cursor']}")


def _show(client: Any, args: argparse.Namespace) -> int:
    from ironforge.cli.client import segment
    from ironforge.json_exact import read_object

    job = client.get(f"/jobs/{segment(args.ids[0])}")
    if args.json:
        print_json(job)
        return 0
    plain = [(name, value) for name, value in job.items() if not isinstance(value, dict | list)]
    print_table(("FIELD", "VALUE"), plain, "")
    exact = read_object(job.text.encode(), max_depth=200)
    for name in ("payload", "result", "progress", "tags"):
        if job.get(name):
            print(f"\n{name}:")
            print(indented(exact.raw(name).decode()))
    if job["attempts"]:
        print()
        print_table(
            ("ATTEMPT", "STARTED", "FINISHED", "OUTCOME", "WORKER", "ERROR"),
            [
                (one["number"], one["started_at"], one["finished_at"], one["outcome"], one["worker"], error_words({"last_error": one["error"]}))
                for one in job["attempts"]
            ],
            "",
        )  # fmt: skip
    if job["last_error"] and job["last_error"]["traceback"]:
        print(f"\n{safe_text(job['last_error']['traceback'].rstrip(), 20_000, multiline=True)}")
    return 0


def change(client: Any, verb: str, ids: list[str], args: argparse.Namespace, only: str | None = None) -> int:
    """The verb for each id; one that fails is told and the others go on. Exit code 1 if any failed.

    Args:
        only: leave jobs of another status alone.
    """
    from ironforge.cli.client import Refused, segment

    results: list[dict[str, Any]] = []
    for job_id in ids:
        result, error = None, None
        try:
            if only and (status := client.get(f"/jobs/{segment(job_id)}")["status"]) != only:
                error = f"it is {status}, not {only}"
            else:
                result = _one(client, verb, args)(job_id)
        except Refused as refused:
            error = str(refused)
        results.append({"id": job_id, "result": result, "error": error})
        if args.json:
            continue
        # At once: what was done has to be known even if the server goes away before the next one.
        if error:
            print(f"{safe_text(job_id)}  not done: {safe_text(error)}", file=sys.stderr, flush=True)
        else:
            print(f"{job_id}  {result}", flush=True)
    if args.json:
        print_json(results)
    return 1 if any(one["error"] for one in results) else 0


def _one(client: Any, verb: str, args: argparse.Namespace) -> Callable[[str], str]:
    from ironforge.cli.client import segment

    def retry(job_id: str) -> str:
        reset = b"false" if getattr(args, "keep_retry_count", False) else b"true"
        client.post(f"/jobs/{segment(job_id)}/retry", b'{"reset_retry_count":%s}' % reset)
        return "queued again"

    def delete(job_id: str) -> str:
        client.delete(f"/jobs/{segment(job_id)}")
        return "deleted"

    def post(job_id: str) -> str:
        job = client.post(f"/jobs/{segment(job_id)}/{verb}")
        return "cancel requested" if verb == "cancel" and job["status"] == "running" else str(job["status"])

    return {"retry": retry, "delete": delete}.get(verb, post)
