"""What a scenario is given, and the rows it answers with: each figure with its denominator, its target and its seed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Setting:
    """How a scenario is to run.

    Attributes:
        seed: all of its choices follow from it.
        scale: share of the full size, 1.0 for the figures of the scorecard.
        redis_server: path of the server binary to start.
        folder: empty, the scenario's own; kept when a row missed its target.
        tell: shows one line of progress.
    """

    seed: int
    scale: float
    redis_server: Path
    folder: Path
    tell: Callable[[str], None]

    def of(self, full: int, least: int = 1) -> int:
        """A count at this scale."""
        return max(least, round(full * self.scale))


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        what: in words, for example "acknowledged jobs lost".
        value: as it is printed, with its denominator: "0 of 50,000".
        target: as it is printed: "0"; "" for a figure that is only reported.
        ok: whether the target is met; None for a figure that is only reported.
        timed: a busy machine may miss it.
    """

    what: str
    value: str
    target: str = ""
    ok: bool | None = None
    timed: bool = False


Scenario = Callable[[Setting], Awaitable[list[Row]]]


def printed(name: str, seed: int, seconds: float, rows: Sequence[Row]) -> str:
    """A scenario's part of the scorecard."""
    width = max((len(row.what) for row in rows), default=0)
    lines = [f"{name}  (seed {seed}, {seconds:.0f} s)"]
    for row in rows:
        mark = {None: " ", True: "✓", False: "✗"}[row.ok]
        aim = f"   target {row.target}" if row.target else ""
        lines.append(f"  {mark} {row.what:<{width}}  {row.value}{aim}")
    return "\n".join(lines)
