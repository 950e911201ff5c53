"""`ironforge submit`: one job from the command line, or many from standard input."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from ironforge import config
from ironforge.cli.output import add_json, print_json
from ironforge.errors import ConfigError

BATCH = 1000
WAIT_S = 0.2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "submit",
        help="submit jobs",
        description="Submits one job and prints its id. Values of key=value are JSON where they are valid JSON, else text.",
    )
    parser.add_argument("kind", nargs="?", metavar="KIND", help="the task's kind, for example email.send")
    parser.add_argument("values", nargs="*", metavar="key=value", help="members of the payload")
    parser.add_argument("--payload", metavar="JSON|@FILE|-", help="the whole payload; - reads standard input")
    parser.add_argument("--priority", choices=("critical", "high", "medium", "low"))
    parser.add_argument("--delay", type=float, metavar="S", help="run in so many seconds")
    parser.add_argument("--run-at", metavar="TIME", help="run at this RFC 3339 time")
    parser.add_argument("--max-retries", type=int, metavar="N")
    parser.add_argument("--queue", metavar="NAME")
    parser.add_argument("--timeout", type=float, metavar="S", help="time limit of one attempt")
    parser.add_argument("--retention", type=float, metavar="S", help="keep the finished job for so long")
    parser.add_argument(
        "--tag", action="append", dest="tags", metavar="TAG", help="may be given several times"
    )
    parser.add_argument(
        "--idempotency-key", metavar="KEY", help="the same request under it gives the same job"
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait for the end; exit 1 if the job did not complete"
    )
    parser.add_argument(
        "--stdin", action="store_true", help="read jobs from standard input, a JSON object a line"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from ironforge.cli.client import Client

    settings = config.load()
    if args.stdin and (args.kind or args.payload or args.values):
        raise ConfigError("--stdin takes whole jobs; leave KIND and payload out")
    if not args.stdin and not args.kind:
        raise ConfigError("name a KIND, for example: ironforge submit email.send to=ada@example.com")
    with Client(settings) as client:
        return _submit_lines(client, args) if args.stdin else _submit_one(client, args)


def _submit_one(client: Any, args: argparse.Namespace) -> int:
    job = client.post("/jobs", body_of(args), key=args.idempotency_key)
    if not args.wait:
        print_json(job) if args.json else print(job["id"])
        return 0
    while job["status"] not in ("completed", "dead", "cancelled"):
        time.sleep(WAIT_S)
        job = client.get(f"/jobs/{job['id']}")
    print_json(job) if args.json else print(job["id"], job["status"])
    return 0 if job["status"] == "completed" else 1


def body_of(args: argparse.Namespace) -> dict[str, Any]:
    """The body of POST /jobs. Raises ConfigError."""
    body: dict[str, Any] = {"kind": args.kind, "payload": _payload(args)}
    chosen = {
        "priority": args.priority,
        "delay_s": args.delay,
        "run_at": args.run_at,
        "max_retries": args.max_retries,
        "queue": args.queue,
        "timeout_s": args.timeout,
        "retention_s": args.retention,
        "tags": args.tags,
    }
    return {**body, **{name: value for name, value in chosen.items() if value is not None}}


def _payload(args: argparse.Namespace) -> Any:
    payload: Any = {}
    if args.payload is not None:
        text = _text_of(args.payload)
        try:
            payload = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"--payload is not JSON: {error}") from None
    for pair in args.values:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"{pair!r} is not key=value")
        if not isinstance(payload, dict):
            raise ConfigError("key=value adds to an object, and --payload is none")
        payload[name] = _value(value)
    return payload  # pyright: ignore[reportUnknownVariableType]


def _text_of(given: str) -> str:
    if given == "-":
        return sys.stdin.read()
    if given.startswith("@"):
        try:
            return Path(given[1:]).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{given[1:]} cannot be read: {error.strerror}") from None
    return given


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _submit_lines(client: Any, args: argparse.Namespace) -> int:
    """Batches of 1,000. A line that is refused is told with its number; the others are accepted."""
    accepted = refused = number = 0
    lines: list[tuple[int, bytes]] = []

    def send() -> None:
        nonlocal accepted, refused
        answer = client.post_bytes("/jobs/batch", b'{"jobs":[' + b",".join(line for _, line in lines) + b"]}")
        for found in answer["errors"]:
            refused += 1
            print(f"line {lines[found['index']][0]}: {found['pointer']}: {found['detail']}", file=sys.stderr)
        ids = [job_id for job_id in answer["ids"] if job_id]
        accepted += len(ids)
        print("\n".join(json.dumps({"id": job_id}) if args.json else job_id for job_id in ids))
        lines.clear()
        if sys.stderr.isatty():
            print(f"\r{accepted:,} accepted", end="", file=sys.stderr)

    for raw in sys.stdin.buffer:
        number += 1
        if not raw.strip():
            continue
        try:
            json.loads(raw)
        except ValueError as error:
            refused += 1
            print(f"line {number}: not JSON: {error}", file=sys.stderr)
            continue
        lines.append((number, raw.strip()))
        if len(lines) == BATCH:
            send()
    if lines:
        send()
    print(
        f"{'' if not sys.stderr.isatty() else chr(13)}{accepted:,} accepted, {refused:,} refused",
        file=sys.stderr,
    )
    return 1 if refused else 0
