"""JSON as coloured lines, made when they are looked at. A string of pretty JSON never spans two lines, so each line is
coloured alone."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import overload

from ironforge.safe_text import safe_text
from ironforge.tui.theme import BLUE, FADED, GOLD, GREEN, VIOLET, Look, style
from ironforge.tui.widgets.lines import Line

LONGEST_LINE = 2_000
_TOKEN = re.compile(
    r'("(?:[^"\\]|\\.)*"\s*:)|("(?:[^"\\]|\\.)*"?)|(-?\d[\d.eE+-]*)|(true|false|null)|(\s+|.)'
)
_LOOKS: tuple[Look, ...] = (style(BLUE), style(GREEN), style(GOLD), style(VIOLET), FADED)


class JsonLines(Sequence[Line]):
    """The value, two spaces an indent; `head` lines come before it."""

    def __init__(self, value: object, head: Sequence[Line] = ()) -> None:
        self._head = list(head)
        self._texts = json.dumps(value, indent=2, ensure_ascii=False, default=str).split("\n")

    def __len__(self) -> int:
        return len(self._head) + len(self._texts)

    @overload
    def __getitem__(self, at: int) -> Line: ...
    @overload
    def __getitem__(self, at: slice) -> list[Line]: ...
    def __getitem__(self, at: int | slice) -> Line | list[Line]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        if at < 0:
            at += len(self)
        if at < len(self._head):
            return self._head[at]
        return json_line(self._texts[at - len(self._head)])


def json_line(text: str) -> Line:
    parts: Line = []
    for found in _TOKEN.findall(safe_text(text, LONGEST_LINE)):
        at = next(place for place, token in enumerate(found) if token)
        parts.append((found[at], _LOOKS[at]))
    return parts
