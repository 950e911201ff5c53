"""Lua 5.1 source as tokens, each with its place in the text."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<skip>   \s+ | --\[(?P<c>=*)\[.*?\](?P=c)\] | --[^\n]* )
  | (?P<string> \[(?P<s>=*)\[.*?\](?P=s)\] | '(?:\\.|[^'\\\n])*' | "(?:\\.|[^"\\\n])*" )
  | (?P<number> 0[xX][0-9a-fA-F]+ | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? )
  | (?P<name>   [A-Za-z_]\w* )
  | (?P<sign>   \.\.\. | \.\. | == | ~= | <= | >= | [-+*/%^\#<>=(){}\[\];:,.] )
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = "and break do else elseif end false for function if in local nil not or repeat return then true until while"
KEYWORDS = frozenset(_KEYWORDS.split())


class LuaError(Exception):
    """The text is no Lua that this reader knows; the message names the place."""


class Token(NamedTuple):
    """kind: name, keyword, number, string, sign, or end after the last."""

    kind: str
    text: str
    start: int
    end: int


def tokens(source: str) -> list[Token]:
    """Every token of the source, without blanks and comments. Raises LuaError."""
    found: list[Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if not match or match.end() == at:
            raise LuaError(f"line {source.count(chr(10), 0, at) + 1}: no token begins with {source[at]!r}")
        at = match.end()
        if match["skip"] is not None:
            continue
        kind = next(name for name in ("string", "number", "name", "sign") if match[name] is not None)
        text = match[0]
        found.append(Token("keyword" if text in KEYWORDS else kind, text, match.start(), at))
    found.append(Token("end", "", at, at))
    return found
