"""The score of a run: what was killed, by whom, and what nobody noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.mutants.equivalents import Equivalent
from tests.mutants.killing import Fate, Verdict


@dataclass(slots=True)
class Report:
    """
    Attributes:
        explained: mutants that are listed as equivalent, by name.
        unknown: entries of that list that no mutant has.
        whole: False when it stopped at the first that is wrong.
    """

    explained: Mapping[str, Equivalent]
    unknown: Sequence[Equivalent]
    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    seconds: float = 0.0

    def add(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    @property
    def survivors(self) -> list[Verdict]:
        """Those that nobody explains."""
        return [
            one
            for one in self.verdicts
            if one.fate is Fate.SURVIVED and one.mutant.name not in self.explained
        ]

    @property
    def refuted(self) -> list[Verdict]:
        """Listed as equivalent, and killed."""
        return [one for one in self.verdicts if one.killed and one.mutant.name in self.explained]

    @property
    def good(self) -> bool:
        return not (self.survivors or self.refuted or self.unknown)

    def is_news(self, verdict: Verdict) -> bool:
        listed = verdict.mutant.name in self.explained
        return verdict.killed if listed else verdict.fate is Fate.SURVIVED

    def news(self, verdict: Verdict) -> str:
        if verdict.killed:
            return f"listed as equivalent, {verdict.fate}: {verdict.by}\n{verdict.mutant.shown}"
        return f"survived: {verdict.mutant.shown}"

    def counts(self) -> dict[str, int]:
        fates = Counter(verdict.fate for verdict in self.verdicts)
        equivalent = sum(
            one.fate is Fate.SURVIVED and one.mutant.name in self.explained for one in self.verdicts
        )
        return {
            "mutants": len(self.verdicts),
            **{fate.value: fates[fate] for fate in Fate if fate is not Fate.SURVIVED},
            "equivalent, each with its reason": equivalent,
            "survivors": len(self.survivors),
        }

    def printed(self) -> str:
        lines = [f"  {count:>5}  {what}" for what, count in self.counts().items()]
        for entry in self.unknown:
            lines.append(f"equivalent/: there is no such mutant any more: {entry.shown}")
        if self.refuted:
            lines.append("equivalent/: listed, but killed (above); strike them out")
        if self.survivors:
            lines.append("survivors (above): add a test that fails on them, or list them with the reason")
        lines.append(f"  {self.seconds:.0f} s")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        return {
            "counts": self.counts(),
            "seconds": round(self.seconds, 1),
            "survivors": [one.mutant.shown for one in self.survivors],
            "refuted": [one.mutant.shown for one in self.refuted],
            "unknown": [entry.shown for entry in self.unknown],
            "fates": {one.mutant.name: [one.fate.value, one.by] for one in self.verdicts},
        }
