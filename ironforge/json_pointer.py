"""JSON pointers (RFC 6901): written, and found for a place in a text that may not be JSON at all."""

from __future__ import annotations

import json.decoder
import re
from collections.abc import Callable
from typing import cast

# Beyond this many characters the place of a mistake is not worth the time it takes to find it.
_LOCATED_CHARS = 512 * 1024
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]', re.DOTALL)

# The string whose opening quote is before the given place, and where it ends. In C where there is C; no stub names it.
scan_string = cast("Callable[[str, int], tuple[str, int]]", vars(json.decoder)["scanstring"])


def token(name: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def pointer_to(text: str, position: int = _LOCATED_CHARS, max_depth: int = 1 << 30) -> str:
    """The pointer of the value at `position`, or of the first one deeper than `max_depth`; as far as it can be read."""
    if position > _LOCATED_CHARS:
        return ""
    path: list[str | int] = []  # of each open array its index, of each open object its current key
    last_string = ""
    for found in _TOKEN.finditer(text, 0, position):
        match found[0]:
            case "[" | "{" as bracket:
                if len(path) == max_depth:
                    break
                path.append(0 if bracket == "[" else "")
            case "]" | "}":
                if path:
                    path.pop()
            case ",":
                if path:
                    last = path[-1]
                    path[-1] = last + 1 if isinstance(last, int) else ""
            case ":":
                if path and isinstance(path[-1], str):
                    path[-1] = last_string
            case string:
                last_string = string
    return "".join(token(part) for part in map(_readable, path) if part is not None)


def _readable(part: str | int) -> str | None:
    if isinstance(part, int):
        return str(part)
    if not part:
        return None
    try:
        return scan_string(part, 1)[0].encode("utf-8", "replace").decode()
    except json.JSONDecodeError:
        return None
