"""What commands print: aligned tables for people, JSON for machines."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from ironforge.safe_text import safe_text

INDENT = "  "
_COLOURS = {
    "dead": "31",
    "failed": "31",
    "lost": "31",
    "WRONG": "31",
    "paused": "33",
    "retrying": "35",
    "running": "33",
    "completed": "32",
    "ok": "32",
    "queued": "34",
}
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
# What JSON allows in strings and a terminal would obey: C1 controls, and characters that hide or turn text.
_HIDDEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def print_json(value: Any) -> None:
    """Indented. A server's document keeps its numbers as they were written."""
    text: str | None = getattr(value, "text", None)
    print(indented(json.dumps(value, ensure_ascii=False) if text is None else text))


def indented(text: str) -> str:
    """JSON text, a member a line. Numbers and strings stay as they are; nothing in it can move a cursor."""
    parts: list[str] = []
    depth, opened = 0, False
    for token in _TOKEN.findall(text):
        closes = token in ("]", "}")
        depth -= closes
        if opened != closes:  # the first member of something, or the end of something that has members
            parts.append("\n" + INDENT * depth)
        opened = token in ("[", "{")
        depth += opened
        parts.append(token)
        if token == ",":
            parts.append("\n" + INDENT * depth)
        elif token == ":":
            parts.append(" ")
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", "".join(parts))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Columns as wide as they need; numbers to the right; lines are cut at the terminal's edge."""
    if not rows:
        print(empty)
        return
    cells = [
        [safe_text("-" if value is None or value == "" else str(value), 200) for value in row] for row in rows
    ]
    numeric = [
        all(isinstance(row[at], int | float) or row[at] is None for row in rows) for at in range(len(titles))
    ]
    widths = [max(_width(title), *(_width(row[at]) for row in cells)) for at, title in enumerate(titles)]
    room = shutil.get_terminal_size((200, 24)).columns if on_terminal() else None
    for row in (titles, *cells):
        print(_line(row, widths, numeric, room))


def on_terminal() -> bool:
    return sys.stdout.isatty()


def coloured(word: str) -> str:
    """The word in its colour, where the output is a terminal that wants colours."""
    wanted = on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{_COLOURS[word]}m{word}\x1b[0m" if wanted and word in _COLOURS else word


def error_words(job: dict[str, Any]) -> str:
    error = job.get("last_error")
    return f"{error['type']}: {error['message']}" if error else ""


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], room: int | None) -> str:
    line, used = "", 0
    for at, (cell, width, right) in enumerate(zip(cells, widths, numeric, strict=True)):
        gap = INDENT if at else ""
        if room is not None and used + len(gap) + _width(cell) > room:
            return line + _cut(gap + cell, room - used)
        space = " " * (width - _width(cell))
        line += gap + (space + coloured(cell) if right else coloured(cell) + space)
        used += len(gap) + width
        if room is not None and used > room:
            return line.rstrip()
    return line.rstrip()


def _cut(text: str, room: int) -> str:
    """As much of the text as fits, and an ellipsis."""
    if room < 1:
        return ""
    kept, used = "", 0
    for character in text:
        used += _width(character)
        if used > room - 1:
            break
        kept += character
    return kept + "…"


def _width(text: str) -> int:
    """Columns on a terminal: East Asian characters take two, marks that combine none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )
