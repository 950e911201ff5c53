"""Pages of jobs as one list: by id, filtered, sorted, with what is known of marked jobs that are on no page any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ironforge.tui.models import JobRow

SORTS = ("kind", "queue", "priority", "retries", "when")
_RANKS = {"critical": 0, "high": 1, "medium": 2, "low": 3}
_FIELDS = ("kind", "queue", "worker", "error", "id", "payload", "priority")


class Difference(NamedTuple):
    """What a newer page changed: jobs that came, went or look otherwise; marked ones that are on it no more."""

    changed: int
    unlisted_marks: int


@dataclass(slots=True)
class JobList:
    """Marks are held by whoever draws, by id, and passed in."""

    loaded: dict[str, JobRow] = field(default_factory=dict[str, JobRow])
    kept: dict[str, JobRow] = field(default_factory=dict[str, JobRow])  # marked, but on no page now
    words: str = ""
    sort: tuple[str, bool] | None = None
    cursor: str | None = None  # of the page after the last one
    total: int | None = None
    _shown: list[str] | None = None

    def replace(
        self, rows: Iterable[JobRow], cursor: str | None, total: int | None, marks: Collection[str] = ()
    ) -> Difference:
        """Takes pages read anew."""
        new = {row.id: row for row in rows}
        known = self.kept | self.loaded
        same = sum(1 for job_id, row in new.items() if self.loaded.get(job_id) == row)
        difference = Difference(
            len(new) - same + sum(job_id not in new for job_id in self.loaded),
            sum(job_id not in new for job_id in marks),
        )
        self.kept = {i: known[i] for i in marks if i not in new and i in known}
        self.loaded, self.cursor, self.total, self._shown = new, cursor, total, None
        return difference

    def find(self, words: str) -> None:
        """Narrows what is shown of what is loaded."""
        if words != self.words:
            self.words, self._shown = words, None

    def sort_by(self, sort: tuple[str, bool] | None) -> None:
        self.sort, self._shown = sort, None

    def sort_next(self) -> None:
        at = SORTS.index(self.sort[0]) + 1 if self.sort else 0
        self.sort_by((SORTS[at], False) if at < len(SORTS) else None)

    def shown(self) -> list[str]:
        """Ids in the order they are shown."""
        if self._shown is None:
            rows = [row for row in self.loaded.values() if not self.words or matches(row, self.words)]
            if self.sort:
                name, falling = self.sort
                rows.sort(key=lambda row: sort_key(row, name), reverse=falling)
            self._shown = [row.id for row in rows]
        return self._shown

    def targets(self, marks: Collection[str], at: str | None) -> list[JobRow]:
        """What an action is about: all marked jobs, else the one under the cursor."""
        if marks:
            return [row for job_id in marks if (row := self.loaded.get(job_id) or self.kept.get(job_id))]
        row = self.loaded.get(at or "")
        return [row] if row else []

    def hidden(self, marks: Collection[str]) -> tuple[int, int]:
        """How many marked jobs the filter hides, and how many are on no loaded page."""
        shown = set(self.shown())
        loaded = [job_id for job_id in marks if job_id in self.loaded]
        return sum(job_id not in shown for job_id in loaded), len(marks) - len(loaded)


def matches(row: JobRow, words: str) -> bool:
    """Whether a row fits a filter: plain words are found in id, kind, error, worker and payload; `kind:` and so on in
    that field (`*` at the end allowed); `!` negates."""
    for word in words.lower().split():
        wanted = not word.startswith("!")
        word = word.lstrip("!")
        name, colon, rest = word.partition(":")
        name = "kind" if name == "task" else name
        if colon and name in _FIELDS:
            found = rest.rstrip("*") in str(getattr(row, name)).lower()
        else:
            found = word in f"{row.id} {row.kind} {row.error} {row.worker} {row.payload}".lower()
        if found is not wanted:
            return False
    return True


def server_search(words: str) -> tuple[str, str]:
    """What the server can look for of a filter: one plain word, the longest, and a kind. The rest stays with us."""
    plain = [word for word in words.split() if ":" not in word and not word.startswith("!")]
    kinds = [
        word.partition(":")[2]
        for word in words.split()
        if word.startswith(("kind:", "task:")) and "*" not in word
    ]
    return max(plain, key=len, default=""), kinds[0] if kinds and not plain else ""


def sort_key(row: JobRow, name: str) -> Any:
    if name == "retries":
        return row.retry_count
    if name == "when":
        return row.finished_s or row.run_at_s or row.started_s or row.created_s or 0.0
    if name == "priority":
        return _RANKS.get(row.priority, 9)
    return getattr(row, name)
