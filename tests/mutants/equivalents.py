"""Mutants that change nothing that anyone could see, each with the reason: `equivalent.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import Mutant

LISTED = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True, slots=True)
class Equivalent:
    """An entry: every mutant of this file and function with this difference. reason: one sentence."""

    file: str
    within: str
    before: str
    after: str
    reason: str

    @property
    def shown(self) -> str:
        where = f"{self.file}.lua, {self.within}" if self.within else f"{self.file}.lua"
        return f"{where}\n    - {self.before}\n    + {self.after}"


def listed(path: Path = LISTED) -> list[Equivalent]:
    """All entries. Raises ValueError for one that is not complete or stands there twice."""
    found: list[Equivalent] = []
    for number, entry in enumerate(tomllib.loads(path.read_text()).get("equivalent", []), 1):
        if set(entry) - {"within"} != {"file", "before", "after", "reason"} or not entry["reason"].strip():
            raise ValueError(f"entry {number} of {path.name} needs file, before, after and reason")
        found.append(Equivalent(**{"within": "", **entry}))
    keys = [(one.file, one.within, one.before, one.after) for one in found]
    if doubled := {key for key in keys if keys.count(key) > 1}:
        raise ValueError(f"{path.name} has twice: {doubled}")
    return found


def matched(
    mutants: Iterable[Mutant], entries: Iterable[Equivalent]
) -> tuple[dict[str, Equivalent], list[Equivalent]]:
    """The entry of each mutant that has one, by the mutant's name; and the entries that no mutant has."""
    by_key = {(one.file, one.within, one.before, one.after): one for one in entries}
    found: dict[str, Equivalent] = {}
    for mutant in mutants:
        if entry := by_key.get((mutant.file, mutant.within, mutant.before, mutant.after)):
            found[mutant.name] = entry
    used = set(found.values())
    return found, [one for one in by_key.values() if one not in used]
