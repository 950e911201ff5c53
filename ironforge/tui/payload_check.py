"""A payload typed by hand: is it JSON, does it fit the task's schema, and which command would send the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, cast

from ironforge.safe_text import safe_text
from ironforge.tui.doc import Doc

_BLANKS: dict[str, Any] = {
    "string": "",
    "integer": 0,
    "number": 0,
    "boolean": False,
    "array": [],
    "object": {},
}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_ARTICLES = {"integer": "an integer", "array": "an array", "object": "an object", "null": "null"}


def read_payload(text: str, schema: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The payload, and what is wrong with it: empty when nothing is, or one sentence with its line."""
    try:
        found: object = json.loads(text.strip() or "{}")
    except json.JSONDecodeError as error:
        return (
            {},
            f"payload: {error.msg[:1].lower()}{error.msg[1:]} (line {error.lineno}, column {error.colno})",
        )
    except (ValueError, RecursionError):
        return {}, "payload: this is more than a console can read; use ironforge submit --payload @file"
    if not isinstance(found, dict):
        return {}, 'payload: a JSON object is needed, as {"to": "ada@example.com"}'
    payload = cast("dict[str, Any]", found)
    name, wrong = _first_error(payload, schema)
    return payload, f"{wrong}{_line_of(text, name)}" if wrong else ""


def _first_error(payload: dict[str, Any], schema: Mapping[str, Any]) -> tuple[str, str]:
    properties: Mapping[str, Any] = schema.get("properties") or {}
    for name in Doc(schema).texts("required"):
        if name not in payload:
            return "", f"{name}: is missing"
    for name, value in payload.items():
        if name not in properties:
            if schema.get("additionalProperties") is False:
                return name, f"{safe_text(name, 60)}: the task has no such parameter"
            continue
        if wrong := _wrong(value, properties[name]):
            return name, f"{name}: {wrong}"
    return "", ""


def _wrong(value: object, about: Mapping[str, Any]) -> str:
    """Why a value does not fit; only the plain rules, the worker knows the rest."""
    choices = [cast("Mapping[str, Any]", choice) for choice in about.get("anyOf") or [about]]
    wanted = [str(choice["type"]) for choice in choices if isinstance(choice.get("type"), str)]
    if wanted and len(wanted) == len(choices) and not any(_is(value, name) for name in wanted):
        return f"expected {' or '.join(_article(name) for name in wanted)}, got {_article(_type_of(value))}"
    if isinstance(about.get("enum"), list) and value not in about["enum"]:
        return f"must be one of {', '.join(json.dumps(one) for one in about['enum'][:8])}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = about.get("minimum"), about.get("maximum")
        if isinstance(least, int | float) and value < least:
            return f"must be at least {least}"
        if isinstance(most, int | float) and value > most:
            return f"must be at most {most}"
    return ""


def _is(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES.get(name, (object,)))


def _type_of(value: object) -> str:
    return next((name for name in _TYPES if _is(value, name)), "number")


def _article(name: str) -> str:
    return _ARTICLES.get(name, f"a {name}")


def _line_of(text: str, name: str) -> str:
    lines = text.split("\n")
    at = next((at for at, line in enumerate(lines, 1) if name and json.dumps(name) in line), None)
    return f" (line {at})" if at is not None else ""


def example(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A payload of the right shape, with what the schema says or plausible blanks."""
    found: dict[str, Any] = {}
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties") or {}
    for name, about in properties.items():
        if "default" in about:
            found[name] = about["default"]
        elif about.get("examples"):
            found[name] = about["examples"][0]
        else:
            found[name] = _BLANKS.get(str(about.get("type")))
    return found


def command_line(body: Mapping[str, Any]) -> str:
    """The `ironforge submit` that sends the same job."""
    parts = ["ironforge", "submit", str(body.get("kind") or "KIND")]
    if body.get("payload"):
        parts += ["--payload", json.dumps(body["payload"], ensure_ascii=False)]
    if body.get("queue") not in (None, "default"):
        parts += ["--queue", str(body["queue"])]
    if body.get("priority") not in (None, "medium"):
        parts += ["--priority", str(body["priority"])]
    if body.get("delay_s"):
        parts += ["--delay", str(body["delay_s"])]
    if body.get("max_retries") not in (None, 3):
        parts += ["--max-retries", str(body["max_retries"])]
    if body.get("timeout_s"):
        parts += ["--timeout", str(body["timeout_s"])]
    return safe_text(shlex.join(parts), 400)
