"""The ledger: what handlers did, as they wrote it themselves. No kill can take a line back, so it is the ground truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Execution:
    """One run of one job under one fence. Instants are `time.monotonic()`, which processes of one host share."""

    job_id: str
    fence: str
    pid: int
    started: float
    ended: float | None = None


class Ledger:
    """Reads the file as it grows.

    Attributes:
        executions: of each job, in the order they began.
        ended: how many jobs have run to their end at least once.
        repeated: starts under a fence that had started before; there must be none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.executions: dict[str, list[Execution]] = {}
        self.repeated: list[str] = []
        self.ended = 0
        self.last_end = 0.0
        self.longest_pause_s = 0.0
        self._offset = 0
        self._by_pid: dict[int, list[Execution]] = {}
        self._done: set[str] = set()
        path.touch()

    def read(self) -> None:
        """Takes in what was written since."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode().splitlines():
            word, job_id, fence, pid, at = line.split()
            if word == "start":
                self._start(Execution(job_id, fence, int(pid), float(at)))
            else:
                self._end(job_id, fence, float(at))

    def _start(self, new: Execution) -> None:
        known = self.executions.setdefault(new.job_id, [])
        if any(one.fence == new.fence for one in known):
            self.repeated.append(new.fence)
        known.append(new)
        self._by_pid.setdefault(new.pid, []).append(new)

    def _end(self, job_id: str, fence: str, at: float) -> None:
        for one in self.executions[job_id]:
            if one.fence == fence:
                one.ended = at
        if self.last_end:
            self.longest_pause_s = max(self.longest_pause_s, at - self.last_end)
        self.last_end = max(self.last_end, at)
        if job_id not in self._done:
            self._done.add(job_id)
            self.ended += 1

    def has_run(self, pid: int, since: float) -> bool:
        """Whether this process began a job after that instant (process ids come back)."""
        return any(one.started >= since for one in self._by_pid.get(pid, ())[-1:])

    def cut_off(self, pids: Iterable[int], at: float) -> list[Execution]:
        """What these processes, killed at this instant, had begun and never ended, or ended and could not settle."""
        return [
            one
            for pid in pids
            for one in self._by_pid.get(pid, ())
            if one.started <= at and (one.ended is None or self.next_after(one))
        ]

    def next_after(self, lost: Execution) -> Execution | None:
        """Where the job ran again. A zombie that begins the claim it had before it stood still writes later as well."""
        known = self.executions[lost.job_id]
        later = known[known.index(lost) + 1 :]
        return next((one for one in later if _delivery(one) >= _delivery(lost)), None)


def _delivery(run: Execution) -> int:
    """The number that a fence begins with."""
    return int(run.fence.partition(":")[0])
