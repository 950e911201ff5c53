"""One call as it was seen from outside: what was asked and answered, and every key before and after.

Nothing here comes from the model: invariants are judged by what the server holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ironforge.queue.keys import INDEXES

Fields = Mapping[bytes, bytes]
TERMINAL = frozenset({b"completed", b"dead", b"cancelled"})


class Call(NamedTuple):
    """A script (or `clock`, or a bare command of the product) and its ARGV."""

    name: str
    argv: tuple[Any, ...]

    def word(self, at: int) -> str:
        value = self.argv[at]
        return value.decode() if isinstance(value, bytes) else str(value)

    def words(self, first: int) -> list[str]:
        return [self.word(at) for at in range(first, len(self.argv))]

    def settlements(self) -> list[tuple[str, str]]:
        """(id, fence) of each: those that completed first, as they are sent."""
        others = 1 + 3 * int(self.argv[0])
        starts = (*range(1, others, 3), *range(others, len(self.argv), 7))
        return [(self.word(at), self.word(at + 1)) for at in starts]

    def submissions(self) -> Iterator[tuple[str, str, int, Fields]]:
        """(id, 'now' | 'in' | 'at', ms, further fields) of each job of an enqueue; of an id that comes twice, the first."""
        at, seen = 1, set[str]()
        while at < len(self.argv):
            first = at + 7
            last = first + int(self.argv[at + 6])
            values = [
                value if isinstance(value, bytes) else str(value).encode() for value in self.argv[first:last]
            ]
            fields = dict(zip(values[::2], values[1::2], strict=True))
            if self.word(at) not in seen:
                yield self.word(at), self.word(at + 4), int(self.argv[at + 5]), fields
            seen.add(self.word(at))
            at = last


class Places:
    """Which indexes hold a job id, and which workers' claims."""

    def __init__(self) -> None:
        self.of: dict[bytes, dict[bytes, float]] = {}
        self.holders: dict[bytes, set[bytes]] = {}

    def move(self, name: bytes, before: Any, after: Any) -> set[bytes]:
        """A key changed: returns the ids it speaks of."""
        if name.startswith(b"q:") and name.rpartition(b":")[2].decode() in INDEXES:
            olds, news = _members(before), _members(after)
            moved = {job_id for job_id in olds.keys() | news.keys() if olds.get(job_id) != news.get(job_id)}
            for job_id in moved:
                at = self.of.setdefault(job_id, {})
                at.pop(name, None)
                if job_id in news:
                    at[name] = news[job_id]
                if not at:
                    del self.of[job_id]
            return moved
        if name.endswith(b":claims"):
            olds_set, news_set = _ids(before), _ids(after)
            for job_id in olds_set - news_set:
                self.holders[job_id].discard(name[7:-7])
            for job_id in news_set - olds_set:
                self.holders.setdefault(job_id, set()).add(name[7:-7])
            return set(olds_set ^ news_set)
        return {name[4:]} if name.startswith(b"job:") else set()


class Step:
    """One call, the keys it changed and the ids of the jobs that they speak of."""

    def __init__(
        self,
        call: Call,
        reply: Any,
        now_us: int,
        keys: dict[bytes, Any],
        before: dict[bytes, Any],
        ttls: dict[bytes, int],
        places: Places,
    ) -> None:
        self.call, self.reply, self.now_us, self.keys, self.ttls = call, reply, now_us, keys, ttls
        self.places = places
        self.old = {name: value for name, value in before.items() if value != keys.get(name)}
        self.ids: set[bytes] = set()
        for name, value in self.old.items():
            self.ids |= places.move(name, value, keys.get(name))

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    def was(self, name: bytes) -> Any:
        """A key before the call."""
        return self.old[name] if name in self.old else self.keys.get(name)

    def job(self, job_id: bytes) -> Fields:
        """A job's hash after the call, {} for none."""
        found = self.keys.get(b"job:" + job_id)
        return found if isinstance(found, dict) else {}

    def job_was(self, job_id: bytes) -> Fields:
        found = self.was(b"job:" + job_id)
        return found if isinstance(found, dict) else {}

    def moved(self) -> Iterator[tuple[bytes, Fields, Fields]]:
        """(id, hash before, hash after) of every job the changed keys speak of."""
        for job_id in self.ids:
            yield job_id, self.job_was(job_id), self.job(job_id)

    def members(self, name: str, *, before: bool = False) -> dict[bytes, float]:
        """A sorted set as member -> score."""
        key = name.encode()
        return _members(self.was(key) if before else self.keys.get(key))


def _members(value: Any) -> dict[bytes, float]:
    return dict(value) if isinstance(value, list) else {}


def _ids(value: Any) -> frozenset[bytes]:
    return value if isinstance(value, frozenset) else frozenset()


class History:
    """What was seen since the server was empty."""

    def __init__(self) -> None:
        self.fences: dict[bytes, set[bytes]] = {}
        self.accepted: dict[bytes, Fields] = {}
        self.ends: dict[tuple[bytes, int], bytes] = {}
        self.kept_losses: dict[bytes, int] = {}
        self.submitted = self.removed = self.completed = self.deaths = 0

    def note(self, step: Step) -> None:
        """Called after the invariants of the step were checked."""
        for job_id, was, job in step.moved():
            if job and not was:
                self.submitted += 1
                self.accepted[job_id] = _lasting(job)
                self.fences[job_id] = set()
                self.kept_losses[job_id] = 0
            if not job and was:
                self.removed += 1
                self.ends = {key: end for key, end in self.ends.items() if key[0] != job_id}
            if b"fence" in job:
                self.fences.setdefault(job_id, set()).add(job[b"fence"])
            status = job.get(b"status")
            if status != was.get(b"status"):
                self.completed += status == b"completed"
                self.deaths += status == b"dead"
                if status in TERMINAL and job_id in step.ids:
                    self.ends[job_id, generation(job)] = status or b""
            if step.call.name == "retry" and generation(job) > generation(was) and step.call.word(1) != "1":
                self.kept_losses[job_id] = self.kept_losses.get(job_id, 0) + 1


LASTING = (
    b"kind", b"queue", b"created_at", b"payload", b"priority", b"max_retries", b"timeout_ms", b"retention_ms",
    b"backoff", b"tags", b"retry_of",
)  # fmt: skip


def _lasting(job: Fields) -> Fields:
    return {name: job[name] for name in LASTING if name in job}


def generation(job: Fields) -> int:
    return int(job.get(b"generation", 0))


def number(job: Fields, name: bytes) -> int:
    return int(job.get(name, 0))
