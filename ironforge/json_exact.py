"""JSON as the contract wants it: strict, bounded in depth, and with the exact text of each member.

The C scanner of `json` does the work, one member of the top-level object at a time; that gives the place of each
member's text, so that a payload is stored as it came. Only what is refused pays for finding out where it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, islice
from json.decoder import JSONDecodeError
from typing import Any, NamedTuple, NoReturn, cast

from ironforge.errors import Finding, InvalidJob
from ironforge.json_pointer import pointer_to, scan_string, token

MAX_DEPTH = 64
MAX_FINDINGS = 50

_SPACE = re.compile(r"[ \t\n\r]*")
# What nearly every member looks like up to its value, and what follows a value. The rest is read step by step.
_PLAIN_NAME = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
_FOLLOWS = re.compile(r"[ \t\n\r]*([,}\]])[ \t\n\r]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HALF = "holds half of a surrogate pair"


class InvalidJson(InvalidJob):
    """The body is not JSON, or JSON of a kind that cannot come back exactly."""

    code = "invalid_json"


class LongInteger(str):
    """The digits of an integer of more than 4,300 digits, which `int()` refuses by default."""

    __slots__ = ()


@dataclass(slots=True)
class Members:
    """An object's members: `values` decoded, `spans` the places of their text.

    `doubtful` names those in which something may have been refused: a `_Wrong` stands in its place.
    """

    text: str
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    spans: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    doubtful: set[str] = field(default_factory=set[str])

    def raw(self, name: str) -> bytes:
        """The member's JSON exactly as it came."""
        start, end = self.spans[name]
        return self.text[start:end].encode()


Element = Members | list[Finding]


@dataclass(slots=True)
class _Wrong:
    """Stands in a tree for what was refused there."""

    detail: str


class _Refused(Exception):
    pass


def read_object(body: bytes, *, max_depth: int = MAX_DEPTH + 1) -> Members:
    """The members of a body that must be a JSON object.

    Args:
        max_depth: how deep arrays and objects may lie in each other, the body itself being 1.

    Raises:
        InvalidJson: with a JSON pointer for each finding.
    """
    members, suspicious = _read(body, max_depth, None)
    if findings := _findings(members, suspicious):
        raise InvalidJson(f"the body is refused: {findings[0]['detail']}", findings)
    return members


def read_batch(
    body: bytes, name: str, *, max_elements: int, max_depth: int = MAX_DEPTH + 3
) -> tuple[Members, list[Element]]:
    """As `read_object`, where the member `name` is an array of objects, each of which may be refused alone.

    Returns:
        The body's members, and for each element of the array its members, or what is wrong with it (pointers
        relative to the element). Without such an array the list is empty and `values` tells what came instead.
    """
    members, suspicious = _read(body, max_depth, _Array(name, max_elements))
    found = members.values.get(name)
    elements: list[Any] = found.items if isinstance(found, _Elements) else []
    if isinstance(found, _Elements):
        members.values[name] = found.items
    others = {key: value for key, value in members.values.items() if value is not elements}
    if findings := _findings(Members(members.text, others, {}, members.doubtful), suspicious):
        raise InvalidJson(f"the body is refused: {findings[0]['detail']}", findings)
    return members, [_checked(element, suspicious) for element in elements]


def same_json(one: bytes, other: bytes) -> bool:
    """Whether two JSON texts say the same: other spaces and another order of members do not count."""
    return one == other or _comparable(one) == _comparable(other)


def is_json(stored: bytes) -> bool:
    """Whether bytes read back from the store can stand in a document as they are."""
    try:
        json.loads(stored.decode(), parse_int=len, parse_float=len, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _read(body: bytes, max_depth: int, array: _Array | None) -> tuple[Members, bool]:
    text = _decoded(body)
    _check_depth(text, body, max_depth)
    at = _skip_space(text, 0)
    if at == len(text):
        _refuse("the body is empty; send a JSON object")
    try:
        if text[at] == "{":
            found, end = _members_at(text, at, array)
        else:
            found, end, _ = _value_at(text, at)
        if (end := _skip_space(text, end)) != len(text):
            raise JSONDecodeError("Extra data", text, end)
    except JSONDecodeError as error:
        pointer = pointer_to(text, error.pos)
        detail = f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise InvalidJson(f"the body is {detail}", [{"pointer": pointer, "detail": detail}]) from None
    if not isinstance(found, Members):
        _refuse("the body must be a JSON object")
    return found, _SURROGATE_ESCAPE.search(text) is not None


def _decoded(body: bytes) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        _refuse("the body begins with a byte order mark; send UTF-8 without one")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(f"the body is not UTF-8: byte {error.start} cannot be read")


def _refuse(detail: str, pointer: str = "") -> NoReturn:
    raise InvalidJson(detail, [{"pointer": pointer, "detail": detail}])


def _check_depth(text: str, body: bytes, max_depth: int) -> None:
    """Refuses what lies too deep before a recursive parser sees it. Linear, whatever the nesting."""
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return
    brackets = _STRING.sub("", text).encode().translate(None, _NOT_BRACKETS)
    if any(depth > max_depth for depth in accumulate(map(_STEP.__getitem__, brackets))):
        _refuse(
            f"arrays and objects lie more than {MAX_DEPTH} deep in each other",
            pointer_to(text, max_depth=max_depth),
        )


class _Array(NamedTuple):
    """The member of a batch that holds its jobs."""

    name: str
    max_elements: int


class _Elements:
    """The array of a batch, so that it cannot be taken for an ordinary value."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items


def _members_at(text: str, at: int, array: _Array | None = None) -> tuple[Members, int]:
    """The object that begins at `at`, and where it ends."""
    members = Members(text)
    at = _skip_space(text, at + 1)
    if text[at : at + 1] == "}":
        return members, at + 1
    while True:
        if plain := _PLAIN_NAME.match(text, at):
            name, start = plain[1], plain.end()
        else:
            name, start = _name_at(text, at)
        if array and name == array.name and text[start : start + 1] == "[":
            items, at = _elements_at(text, start, array)
            value, doubtful = _Elements(items), False
        else:
            value, at, doubtful = _value_at(text, start)
        if name in members.values:
            value, doubtful = _Wrong(f"the member {name[:80]!r} occurs twice"), True
        if doubtful:
            members.doubtful.add(name)
        members.values[name], members.spans[name] = value, (start, at)
        at, ended = _next(text, at, "}")
        if ended:
            return members, at


def _name_at(text: str, at: int) -> tuple[str, int]:
    """A member's name, and where its value begins."""
    if text[at : at + 1] != '"':
        raise JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
    name, at = scan_string(text, at + 1)
    at = _skip_space(text, at)
    if text[at : at + 1] != ":":
        raise JSONDecodeError("Expecting ':' delimiter", text, at)
    return name, _skip_space(text, at + 1)


def _elements_at(text: str, at: int, array: _Array) -> tuple[list[Any], int]:
    elements: list[Any] = []
    at = _skip_space(text, at + 1)
    if text[at : at + 1] == "]":
        return elements, at + 1
    while True:
        if text[at : at + 1] == "{":
            element, at = _members_at(text, at)
        else:
            element, at, _ = _value_at(text, at)
        if len(elements) == array.max_elements:
            _refuse(f"there are more than {array.max_elements:,} of them", token(array.name))
        elements.append(element)
        at, ended = _next(text, at, "]")
        if ended:
            return elements, at


def _next(text: str, at: int, closing: str) -> tuple[int, bool]:
    """Past the comma or the closing bracket that must follow; whether it was the bracket."""
    follows = _FOLLOWS.match(text, at)
    if follows is None or follows[1] not in (",", closing):
        raise JSONDecodeError("Expecting ',' delimiter", text, _skip_space(text, at))
    ended = follows[1] == closing
    return follows.end(1) if ended else follows.end(), ended


def _value_at(text: str, at: int) -> tuple[Any, int, bool]:
    """A value, its end, and whether it had to be read with care because something in it is unusual."""
    try:
        value, end = _FAST.scan_once(text, at)
        return value, end, False
    except StopIteration as stop:
        raise JSONDecodeError("Expecting value", text, stop.value) from None
    except JSONDecodeError:
        raise
    except (_Refused, ValueError):  # ValueError: an integer of more than 4,300 digits
        pass
    try:
        value, end = _CAREFUL.scan_once(text, at)
        return value, end, True
    except StopIteration as stop:
        raise JSONDecodeError("Expecting value", text, stop.value) from None


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused
    return members


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _Refused
    return value


def _refused_constant(_: str) -> NoReturn:
    raise _Refused


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _unique_or_wrong(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        members[name] = _Wrong(f"the member {name[:80]!r} occurs twice") if name in members else value
    return members


def _finite_or_wrong(digits: str) -> float | _Wrong:
    value = float(digits)
    return _Wrong(f"the number {digits[:40]} is too large") if math.isinf(value) else value


def _any_integer(digits: str) -> int | LongInteger:
    return int(digits) if len(digits) <= 4300 else LongInteger(digits)


def _wrong_constant(word: str) -> _Wrong:
    return _Wrong(f"{word} is not a number of JSON")


def _labelled(label: str) -> Callable[[str], tuple[str, str]]:
    return lambda digits: (label, digits)


def _comparable(text: bytes) -> Any:
    return json.loads(text, parse_int=_labelled("integer"), parse_float=_labelled("float"))


_FAST: Any = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refused_constant
)
_CAREFUL: Any = json.JSONDecoder(
    object_pairs_hook=_unique_or_wrong,
    parse_float=_finite_or_wrong,
    parse_int=_any_integer,
    parse_constant=_wrong_constant,
)


def _checked(element: Any, suspicious: bool) -> Element:
    if not isinstance(element, Members):
        return [{"pointer": "", "detail": "a job must be a JSON object"}]
    return _findings(element, suspicious) or element


def _findings(members: Members, suspicious: bool) -> list[Finding]:
    """What was refused inside, with pointers. Values are walked only where there may be something."""
    found: list[Finding] = []
    for name, value in members.values.items():
        if suspicious and _SURROGATE.search(name):
            found.append({"pointer": "", "detail": f"the member {name[:80]!a} {_HALF}"})
        elif suspicious or name in members.doubtful:
            found += islice(_walk(value, token(name)), MAX_FINDINGS)
    return found[:MAX_FINDINGS]


def _walk(value: Any, pointer: str) -> Iterator[Finding]:
    if isinstance(value, _Wrong):
        yield {"pointer": pointer, "detail": value.detail}
    elif isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            if _SURROGATE.search(name):
                yield {"pointer": pointer, "detail": f"the member {name[:80]!a} {_HALF}"}
            else:
                yield from _walk(inner, pointer + token(name))
    elif isinstance(value, list):
        for at, inner in enumerate(cast("list[Any]", value)):
            yield from _walk(inner, f"{pointer}/{at}")
    elif isinstance(value, str) and _SURROGATE.search(value):
        yield {"pointer": pointer, "detail": f"the string {_HALF}"}
