"""`ironforge submit`: one job from words, or many from lines of standard input."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from ironforge import config
from ironforge.cli.bulk import submit_lines
from ironforge.cli.output import add_json, error_words, print_json
from ironforge.errors import ConfigError
from ironforge.safe_text import safe_text

LOOK_AGAIN_S = 0.2
ENDED = ("completed", "dead", "cancelled")
# Members of the body beside kind and payload, by the option that gives them.
_MEMBERS = {
    "priority": "priority",
    "delay_s": "delay",
    "run_at": "run_at",
    "max_retries": "max_retries",
    "queue": "queue",
    "timeout_s": "timeout",
    "retention_s": "retention",
    "tags": "tags",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    parser = commands.add_parser(
        "submit",
        description="Submits one job and prints its id. Values of key=value are JSON where they are valid JSON, else text.",
    )
    parser.add_argument("kind", nargs="?", metavar="KIND", help="the task's kind, for example email.send")
    parser.add_argument("values", nargs="*", metavar="key=value", help="members of the payload")
    parser.add_argument("--payload", metavar="JSON|@FILE|-", help="the whole payload; - reads standard input")
    parser.add_argument("--priority", choices=("critical", "high", "medium", "low"))
    parser.add_argument("--delay", type=_seconds, metavar="S", help="run in so many seconds")
    parser.add_argument("--run-at", metavar="TIME", help="run at this RFC 3339 time")
    parser.add_argument("--max-retries", type=int, metavar="N", help="0 to 100 (default 3)")
    parser.add_argument("--queue", metavar="NAME", help="default: default")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="time limit of one attempt")
    parser.add_argument("--retention", type=_seconds, metavar="S", help="keep the finished job for so long")
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
    if args.stdin:
        _check_alone(args)
    elif not args.kind:
        raise ConfigError("name a KIND, for example: ironforge submit email.send to=ada@example.com")
    elif "=" in args.kind:
        raise ConfigError(f"name a KIND before {safe_text(args.kind, 80)}")
    with Client(settings) as client:
        if args.stdin:
            return submit_lines(client, sys.stdin.buffer, as_json=args.json)
        return _submit_one(client, args)


def _check_alone(args: argparse.Namespace) -> None:
    others = [option for option in _MEMBERS.values() if getattr(args, option) is not None]
    if args.kind or args.values or args.payload is not None or others or args.idempotency_key or args.wait:
        raise ConfigError(
            "--stdin takes whole jobs, with all their members; give nothing beside it but --json"
        )


def _submit_one(client: Any, args: argparse.Namespace) -> int:
    job = client.post("/jobs", body_of(args), key=args.idempotency_key)
    if not args.wait:
        print_json(job) if args.json else print(job["id"])
        return 0
    while job["status"] not in ENDED:
        time.sleep(LOOK_AGAIN_S)
        job = client.get(f"/jobs/{job['id']}")
    print_json(job) if args.json else print(job["id"], job["status"])
    if job["status"] == "completed":
        return 0
    if job["last_error"]:
        print(f"ironforge: {safe_text(error_words(job))}", file=sys.stderr)
    return 1


def body_of(args: argparse.Namespace) -> bytes:
    """The body of POST /jobs, with the payload as it was written. Raises ConfigError and InvalidJob."""
    members = {"kind": json.dumps(args.kind), "payload": _payload(args)}
    for name, option in _MEMBERS.items():
        value = getattr(args, option)
        if value is not None:
            members[name] = json.dumps(value)
    return _object(members).encode()


def _payload(args: argparse.Namespace) -> str:
    if args.payload is None:
        return _object(_pairs(args.values))
    text = _text_of(args.payload)
    if problem := _not_json(text):
        raise ConfigError(f"--payload is not JSON: {problem}")
    if not args.values:
        return text
    if not text.lstrip().startswith("{"):
        raise ConfigError("key=value adds to an object, and --payload is none")
    from ironforge.json_exact import read_object

    given = read_object(text.encode())
    return _object({name: given.raw(name).decode() for name in given.values} | _pairs(args.values))


def _pairs(words: list[str]) -> dict[str, str]:
    """Name to JSON text."""
    members: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ConfigError(f"{word!r} is not key=value")
        if name in members:
            raise ConfigError(f"{name!r} is given twice")
        members[name] = json.dumps(value, ensure_ascii=False) if _not_json(value) else value
    return members


def _object(members: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{text}" for name, text in members.items()) + "}"  # fmt: skip


def _not_json(text: str) -> str:
    """What is wrong with it; '' for exactly one JSON value."""
    try:
        # Numbers stay text: Python would read no integer of more than 4,300 digits.
        json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
    except RecursionError:
        return "it is nested too deep"
    except ValueError as error:
        return str(error)
    return ""


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _text_of(given: str) -> str:
    try:
        if given == "-":
            return sys.stdin.buffer.read().decode("utf-8")
        if given.startswith("@"):
            return Path(given[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{given[1:]} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"the payload is not UTF-8: byte {error.start} cannot be read") from None
    return given


def _seconds(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_seconds.__name__ = "number of seconds"  # argparse names it in its message
