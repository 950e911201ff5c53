"""Mutants that change nothing that anyone could see, each with the reason: the folder `equivalent`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutants.mutant import Mutant

LISTED = Path(__file__).with_name("equivalent")


@dataclass(frozen=True, slots=True)
class Equivalent:
    """The mutants of this file and function with this difference; after None: every change of that line.

    reason: one sentence.
    """

    file: str
    within: str
    before: str
    after: str | None
    reason: str

    @property
    def shown(self) -> str:
        where = f"{self.file}.lua, {self.within}" if self.within else f"{self.file}.lua"
        return f"{where}\n    - {self.before}\n    + {'any change' if self.after is None else self.after}"


def listed(path: Path = LISTED) -> list[Equivalent]:
    """All entries of a file, or of each .toml in a folder. Raises ValueError for one that is not complete or twice there.

    `after` may be a list: several changes of a line with one reason. Left out, it is every change of that line.
    """
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    found = [one for file in files for one in _entries(file)]
    keys = [(one.file, one.within, one.before, one.after) for one in found]
    if doubled := {key for key in keys if keys.count(key) > 1}:
        raise ValueError(f"{path.name} has twice: {doubled}")
    return found


def _entries(path: Path) -> Iterator[Equivalent]:
    entries: list[dict[str, Any]] = tomllib.loads(path.read_text()).get("equivalent", [])
    for number, entry in enumerate(entries, 1):
        if set(entry) - {"within", "after"} != {"file", "before", "reason"} or not entry["reason"].strip():
            raise ValueError(f"entry {number} of {path.name} needs file, before and reason")
        after = entry.get("after")
        for one in after if isinstance(after, list) else [after]:
            yield Equivalent(**{"within": "", **entry, "after": one})


def matched(
    mutants: Iterable[Mutant], entries: Iterable[Equivalent]
) -> tuple[dict[str, Equivalent], list[Equivalent]]:
    """The entry of each mutant that has one, by the mutant's name; and the entries that no mutant has."""
    by_key = {(one.file, one.within, one.before, one.after): one for one in entries}
    found: dict[str, Equivalent] = {}
    for mutant in mutants:
        line = mutant.file, mutant.within, mutant.before
        if entry := by_key.get((*line, mutant.after)) or by_key.get((*line, None)):
            found[mutant.name] = entry
    used = set(found.values())
    return found, [one for one in by_key.values() if one not in used]
