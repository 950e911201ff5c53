"""What may be broken in a Lua file: each operator gives edits of the text, every one of them a mutant.

Mechanical on purpose: they look at the grammar and at the names of Redis commands, never at what a script is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from tests.mutants.lua_tree import Node


class Edit(NamedTuple):
    """Replaces `start`:`end` of the text."""

    start: int
    end: int
    text: str


class Place(NamedTuple):
    """A node, and the nodes around it, the chunk first."""

    node: Node
    around: tuple[Node, ...]

    @property
    def parent(self) -> Node | None:
        return self.around[-1] if self.around else None


Operator = Callable[[str, Place], Iterator[Edit]]

_WRITES = (
    "SET SETNX DEL UNLINK EXPIRE PEXPIRE PERSIST INCR INCRBY HSET HSETNX HDEL HINCRBY SADD SREM ZADD ZREM ZINCRBY "
    "ZPOPMIN ZPOPMAX ZREMRANGEBYRANK ZREMRANGEBYSCORE LPUSH RPUSH LPOP RPOP LTRIM LREM XADD XTRIM RENAME"
)
WRITES = frozenset(_WRITES.split())
FLAGS = {"NX": 1, "XX": 1, "GT": 1, "LT": 1, "KEEPTTL": 1, "PX": 2, "EX": 2, "LIMIT": 3, "BYSCORE": 1}
# Of each pair of key parts one is put for the other.
PARTS = dict(
    pair
    for one, other in (
        ("queued", "suspects"), ("scheduled", "retrying"), ("running", "dead"), ("completed", "cancelled"),
        ("claims", "orders"),
    )
    for pair in ((f"'{one}'", f"'{other}'"), (f"'{other}'", f"'{one}'"))
)  # fmt: skip
_BOUNDS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_COMPARISONS = {"==": "~=", "~=": "=="}
_INVERSE = {**_COMPARISONS, "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_SUMS = {"+": "-", "-": "+", "*": "/", "/": "*"}


def drop(text: str, place: Place) -> Iterator[Edit]:
    """A call or an assignment does not happen. A write whose reply is used answers something else."""
    node = place.node
    if node.kind in ("call_statement", "assign"):
        yield Edit(node.start, node.end, "do end")
    elif node.kind == "call" and place.parent and place.parent.kind != "call_statement":
        yield from _without_effect(text, node)


def _without_effect(text: str, call: Node) -> Iterator[Edit]:
    command, arguments = _command(call), call.parts[1:]
    if command == "ZPOPMIN":
        key = text[arguments[1].start : arguments[1].end]
        most = text[arguments[2].start : arguments[2].end] if len(arguments) > 2 else "1"
        yield Edit(call.start, call.end, f"redis.call('ZRANGE', {key}, 0, {most} - 1, 'WITHSCORES')")
    elif command in WRITES:
        yield Edit(call.start, call.end, "0")
        yield Edit(call.start, call.end, "1")
    elif call.parts[0].word == "remember":  # what it gives back is its last argument
        yield Edit(call.start, call.end, text[arguments[-1].start : arguments[-1].end])


def field(text: str, place: Place) -> Iterator[Edit]:
    """One field, or one of several keys, is left out of a write."""
    node = place.node
    command = _command(node)
    if command == "HSET":
        yield from _leave_out(node.parts[3:], 2, node.parts[2].end)
    elif command in ("HDEL", "DEL", "UNLINK"):
        first = 3 if command == "HDEL" else 2
        if len(node.parts) > first + 1:
            yield from _leave_out(node.parts[first:], 1, node.parts[first - 1].end)
    elif node.kind == "table" and node.parts and all(part.kind == "item" for part in node.parts):
        values = [part.parts[0] for part in node.parts]
        if all(value.kind == "string" for value in values):
            yield from _leave_out(values, 1, node.start + 1)
        elif len(values) % 2 == 0 and all(_is_text(value) for value in values[::2]):
            yield from _leave_out(values, 2, node.start + 1)
    elif node.kind == "table":
        for part in node.parts:
            if part.kind == "pair":
                yield Edit(part.parts[-1].start, part.parts[-1].end, "nil")


def _leave_out(values: tuple[Node, ...] | list[Node], step: int, before: int) -> Iterator[Edit]:
    """Edits that remove `step` values each. before: where the text ends that precedes the first one."""
    for at in range(0, len(values) - step + 1, step):
        if any(value.kind == "call" and value.parts[0].word == "unpack" for value in values[at : at + step]):
            return
        if at or before < values[0].start - 1:  # together with the comma before it
            yield Edit(values[at - 1].end if at else before, values[at + step - 1].end, "")
        else:
            following = values[step].start if len(values) > step else values[step - 1].end
            yield Edit(values[0].start, following, "")


def flag(text: str, place: Place) -> Iterator[Edit]:
    """A command goes without one of its flags."""
    if not _command(place.node):
        return
    for before, argument in pairwise(place.node.parts):
        size = FLAGS.get(argument.word.strip("'")) if argument.kind == "string" else None
        if size:
            at = place.node.parts.index(argument)
            yield Edit(before.end, place.node.parts[at + size - 1].end, "")


def part(text: str, place: Place) -> Iterator[Edit]:
    """Another key of the same kind is used."""
    node, parent = place.node, place.parent
    if node.kind != "string" or not parent or parent.kind != "call" or node.word not in PARTS:
        return
    if parent.parts[0].word in ("queue_key", "worker_key"):
        yield Edit(node.start, node.end, PARTS[node.word])


def negate(text: str, place: Place) -> Iterator[Edit]:
    """A condition (of if, while, repeat, or the first part of `a and b or c`) holds when it should not."""
    node = place.node
    if not _is_condition(place):
        return
    if node.kind == "binary" and node.word in _INVERSE:
        yield Edit(node.at, node.at + len(node.word), _INVERSE[node.word])
    elif node.kind == "unary" and node.word == "not":
        yield Edit(node.start, node.end, text[node.parts[0].start : node.end])
    else:
        yield Edit(node.start, node.end, f"not ({text[node.start : node.end]})")


def compare(text: str, place: Place) -> Iterator[Edit]:
    """== and ~= are exchanged, and `not` left out, where that is only a part of a condition."""
    node = place.node
    if _is_condition(place):
        return
    if node.kind == "binary" and node.word in _COMPARISONS:
        yield Edit(node.at, node.at + 2, _COMPARISONS[node.word])
    elif node.kind == "unary" and node.word == "not":
        yield Edit(node.start, node.end, text[node.parts[0].start : node.end])


def bound(text: str, place: Place) -> Iterator[Edit]:
    """A bound is shifted by one: < and <=, > and >=, each number one more and one less."""
    node = place.node
    if node.kind == "binary" and node.word in _BOUNDS:
        yield Edit(node.at, node.at + len(node.word), _BOUNDS[node.word])
    elif node.kind == "number":
        value = int(node.word, 0)
        yield Edit(node.start, node.end, str(value + 1))
        yield Edit(node.start, node.end, str(value - 1))


def sum_(text: str, place: Place) -> Iterator[Edit]:
    """+ and -, * and / are exchanged; % goes."""
    node = place.node
    if node.kind != "binary":
        return
    if node.word in _SUMS:
        yield Edit(node.at, node.at + 1, _SUMS[node.word])
    elif node.word == "%":
        yield Edit(node.parts[0].end, node.end, "")


def connect(text: str, place: Place) -> Iterator[Edit]:
    """and and or are exchanged; one of the two sides alone decides."""
    node = place.node
    if node.kind == "binary" and node.word in ("and", "or"):
        left, right = node.parts
        yield Edit(node.at, node.at + len(node.word), "or" if node.word == "and" else "and")
        yield Edit(left.end, right.end, "")
        yield Edit(left.start, right.start, "")


def go_on(text: str, place: Place) -> Iterator[Edit]:
    """An early return is passed over."""
    node = place.node
    if node.kind == "return" and any(around.kind in ("if", "for", "while") for around in _in_function(place)):
        yield Edit(node.start, node.end, "")


OPERATORS: dict[str, Operator] = {
    "drop": drop, "field": field, "flag": flag, "part": part, "negate": negate, "compare": compare, "bound": bound,
    "sum": sum_, "connect": connect, "go-on": go_on,
}  # fmt: skip


def places(tree: Node, around: tuple[Node, ...] = ()) -> Iterator[Place]:
    """Every node of the tree with what is around it, in the order of the text."""
    yield Place(tree, around)
    for inner in tree.parts:
        yield from places(inner, (*around, tree))


def _command(node: Node) -> str:
    """The name of the Redis command that a call sends, '' for any other node."""
    if node.kind != "call" or len(node.parts) < 2 or node.parts[0].kind != "index":
        return ""
    called, first = node.parts[0], node.parts[1]
    if called.parts[0].word != "redis" or called.parts[1].word not in ("call", "pcall"):
        return ""
    return first.word.strip("'\"") if first.kind == "string" else ""


def _is_text(node: Node) -> bool:
    return node.kind == "string" or (node.kind == "binary" and node.word == ".." and _is_text(node.parts[0]))


def _is_condition(place: Place) -> bool:
    parent = place.parent
    if not parent:
        return False
    if parent.kind in ("clause", "while"):
        return parent.parts[0] is place.node
    if parent.kind == "repeat":
        return parent.parts[1] is place.node
    # The first part of a choice: `place and b or c`.
    if parent.kind == "binary" and parent.word == "and" and parent.parts[0] is place.node:
        outer = place.around[-2]
        return outer.kind == "binary" and outer.word == "or" and outer.parts[0] is parent
    return False


def _in_function(place: Place) -> tuple[Node, ...]:
    """What is around a place, up to the function it belongs to."""
    for at in range(len(place.around) - 1, -1, -1):
        if place.around[at].kind in ("function", "function_statement"):
            return place.around[at + 1 :]
    return place.around
