"""A mutant: one file of the scripts with one small change."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import ironforge.queue
from tests.mutants.lua_tree import STATEMENTS, Node, parse
from tests.mutants.operators import OPERATORS, Edit, Place, places

LUA = Path(ironforge.queue.__file__).parent / "lua"


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    Attributes:
        name: `file:line:operator:ordinal`; moves when lines above it come or go.
        file: without `.lua`.
        operator: one of OPERATORS.
        within: the function it lies in, '' for the file's own level.
        before, after: the lines that differ, in one line each. With file and within they name the mutant for as long as
            nobody edits those lines.
        statement: where the innermost statement around the change begins.
        text: the whole file, changed.
    """

    name: str
    file: str
    operator: str
    within: str
    before: str
    after: str
    statement: int
    text: str

    @property
    def shown(self) -> str:
        """Its name and its difference."""
        return f"{self.name}\n    - {self.before}\n    + {self.after}"


def all_mutants(folder: Path = LUA) -> list[Mutant]:
    """Those of every file, in the order of names and lines."""
    return [
        mutant for path in sorted(folder.glob("*.lua")) for mutant in mutants_of(path.stem, path.read_text())
    ]


def mutants_of(file: str, text: str) -> list[Mutant]:
    """Every mutant of one file; of two that give the same text only the first."""
    found: list[Mutant] = []
    ordinals: Counter[str] = Counter()
    seen = {text}
    for place in places(parse(text)):
        for operator, edits in OPERATORS.items():
            for edit in edits(text, place):
                changed = text[: edit.start] + edit.text + text[edit.end :]
                if changed in seen:
                    continue
                seen.add(changed)
                place_name = f"{file}:{text.count(chr(10), 0, edit.start) + 1}:{operator}"
                ordinals[place_name] += 1
                found.append(
                    _mutant(file, f"{place_name}:{ordinals[place_name]}", operator, place, text, edit)
                )
    return sorted(found, key=lambda mutant: int(mutant.name.split(":")[1]))


def statements(text: str) -> list[int]:
    """Where each statement of the file begins."""
    return [node.start for node in parse(text).walk() if node.kind in STATEMENTS]


def _mutant(file: str, name: str, operator: str, place: Place, text: str, edit: Edit) -> Mutant:
    first = text.rfind("\n", 0, edit.start) + 1
    last = text.find("\n", edit.end)
    lines = text[first:last]
    changed = text[first : edit.start] + edit.text + text[edit.end : last]
    nodes = (*place.around, place.node)
    statement = next(node for node in reversed(nodes) if node.kind in STATEMENTS)
    return Mutant(
        name=name,
        file=file,
        operator=operator,
        within=_function_name(nodes, text),
        before=" ".join(lines.split()),
        after=" ".join(changed.split()),
        statement=statement.start,
        text=text[: edit.start] + edit.text + text[edit.end :],
    )


def _function_name(nodes: tuple[Node, ...], text: str) -> str:
    for node in reversed(nodes):
        if node.kind == "function_statement":
            head = text[node.start : text.index("(", node.start)]
            return head.split()[-1]
    return ""
