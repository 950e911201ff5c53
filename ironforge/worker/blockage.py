"""What a supervisor makes of a child whose loop does not turn: pure, from the child's board to a judgement."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ironforge.worker.board import BoardReading, SlotReading

SILENT_S = 3.0  # a loop that has not turned for so long is blocked
USELESS_S = 60.0  # a blocked loop that runs nothing


@dataclass(frozen=True, slots=True)
class Blockage:
    """A child does not turn its loop.

    Attributes:
        job_id: whose handler keeps it, where that is certain.
        since_s: for so long.
        stack: where it is, if the child could still say; else empty.
        end: whether the child has to be ended now.
        blamed: the jobs that then fail as out of time; all others of the child go back uncharged.
    """

    job_id: str | None
    since_s: float
    stack: str
    end: bool
    blamed: tuple[SlotReading, ...]

    def to_json(self) -> str:
        """What /workers shows of it."""
        return json.dumps({"job_id": self.job_id, "since_s": round(self.since_s, 1), "stack": self.stack})


def judge(page: BoardReading, now: float, grace_s: float) -> Blockage | None:
    """None while the loop turns. `grace_s`: between the end of a job's time and that of the process it blocks.

    A handler's limit holds for a loop it blocks too. Where the child could not say who blocks it (C code keeps the
    interpreter's lock) and several jobs run, those whose own time is over are to blame.
    """
    silent_s = now - page.turned_at
    if not page.turned_at or silent_s < SILENT_S:
        return None
    suspects = (page.blocker,) if page.blocker else page.runs
    blamed = tuple(run for run in suspects if now > run.ends_at + grace_s)
    return Blockage(
        job_id=suspects[0].job_id if len(suspects) == 1 else None,
        since_s=silent_s,
        stack=page.stack,
        end=bool(blamed) or (not page.runs and silent_s > USELESS_S),
        blamed=blamed,
    )
