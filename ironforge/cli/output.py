"""What commands print: aligned tables for people, JSON for machines."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from ironforge.safe_text import safe_text

_COLOURS = {
    "dead": "31",
    "failed": "31",
    "lost": "31",
    "retrying": "35",
    "running": "33",
    "completed": "32",
    "queued": "34",
}


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Columns as wide as they need; numbers to the right; the last column is cut at the terminal's edge."""
    if not rows:
        print(empty)
        return
    cells = [
        [safe_text("-" if value is None or value == "" else str(value), 200) for value in row] for row in rows
    ]
    numeric = [
        all(isinstance(row[at], int | float) or row[at] is None for row in rows) for at in range(len(titles))
    ]
    widths = [max(len(title), *(len(row[at]) for row in cells)) for at, title in enumerate(titles)]
    room = shutil.get_terminal_size((200, 24)).columns if sys.stdout.isatty() else 10_000
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(_line(titles, widths, numeric, room))
    for row in cells:
        line = _line(row, widths, numeric, room)
        if colour:
            for word in row:
                if word in _COLOURS:
                    line = line.replace(word, f"\x1b[{_COLOURS[word]}m{word}\x1b[0m", 1)
        print(line)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], room: int) -> str:
    parts = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    ]
    line = "  ".join(parts).rstrip()
    return line if len(line) <= room else line[: room - 1] + "…"


def error_words(job: dict[str, Any]) -> str:
    error = job.get("last_error")
    return f"{error['type']}: {error['message']}" if error else ""
