"""A JSON object read with tolerance: whatever a server says, the console gets values it can draw."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from ironforge.safe_text import safe_text

_LONGEST_NUMBER = 4_000


class Doc:
    """Getters by member name: what is absent, or of another type, is a plain default. Every text comes out safe."""

    __slots__ = ("raw",)

    def __init__(self, raw: object) -> None:
        self.raw: Mapping[str, Any] = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}

    def text(self, name: str, limit: int = 300) -> str:
        value = self.raw.get(name)
        return "" if value is None else safe_text(value if isinstance(value, str) else str(value), limit)

    def whole(self, name: str) -> int:
        value = self.real(name)
        return int(value) if value is not None else 0

    def real(self, name: str) -> float | None:
        value = self.raw.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None

    def rate(self, name: str) -> float:
        return self.real(name) or 0.0

    def at(self, name: str) -> float | None:
        """An instant as Unix seconds."""
        return epoch_s(self.raw.get(name))

    def flag(self, name: str) -> bool:
        return bool(self.raw.get(name))

    def doc(self, name: str) -> Doc:
        return Doc(self.raw.get(name))

    def docs(self, name: str) -> list[Doc]:
        return [doc for doc in map(Doc, self._list(name)) if doc.raw]

    def texts(self, name: str) -> list[str]:
        return [safe_text(str(item), 100) for item in self._list(name)]

    def reals(self, name: str) -> tuple[float, ...]:
        """Numbers; null and rubbish are 0."""
        return tuple(Doc({"v": item}).rate("v") for item in self._list(name))

    def _list(self, name: str) -> list[Any]:
        value = self.raw.get(name)
        return cast("list[Any]", value) if isinstance(value, list) else []


def epoch_s(instant: object) -> float | None:
    """Unix seconds of an RFC 3339 instant; None for none, or for what is none."""
    if not isinstance(instant, str) or not instant:
        return None
    try:
        return datetime.fromisoformat(instant).timestamp()
    except (ValueError, OverflowError):
        return None


def read_json(text: str | bytes) -> Any:
    """As json.loads, for documents with integers of any size: one too long to count with is shown by its beginning."""
    return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else f"{digits[:30]}… ({len(digits):,} digits)"


def one_line(value: object, limit: int = 160) -> str:
    """The beginning of a value as JSON, safe, without writing out all of it."""
    parts: list[str] = []
    length = 0
    for part in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
        parts.append(part)
        length += len(part)
        if length > limit:
            break
    return safe_text("".join(parts), limit)
