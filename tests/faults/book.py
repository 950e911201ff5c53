"""What acknowledged operations must have made of jobs, kept by the callers; and the comparison with what Redis holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ironforge.job import Job, NewJob
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue

FINGERPRINT = "f1"


@dataclass(slots=True)
class Entry:
    """One job as its only user knows it. `ends` counts runs that ended; `fence` is of the run under way."""

    id: str
    kind: str
    priority: str
    max_retries: int
    is_brief: bool  # its retention is so short that it may be gone as soon as it is over
    status: str = "queued"
    retry_count: int = 0
    generation: int = 0
    crashes: int = 0
    lapses: int = 0
    ends: int = 0
    cancel_requested: bool = False
    fence: str = ""
    progress: bytes | None = None

    @property
    def may_be_gone(self) -> bool:
        return self.is_brief and self.status in ("completed", "cancelled")

    def facts(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "retry_count": self.retry_count,
            "generation": self.generation,
            "crashes": self.crashes,
            "lapses": self.lapses,
            "ends": self.ends,
            "progress": self.progress,
            "cancel_requested": self.cancel_requested,
        }


def facts_of(job: Job) -> dict[str, Any]:
    """The same facts as Redis has them."""
    return {
        "status": job.status.value,
        "retry_count": job.retry_count,
        "generation": job.generation,
        "crashes": job.crashes,
        "lapses": job.lapses,
        "ends": job.attempts[-1].number if job.attempts else 0,
        "progress": job.progress_json,
        "cancel_requested": job.cancel_requested,
    }


@dataclass(slots=True)
class Book:
    """Of one caller.

    Attributes:
        jobs: all that it made and that should be there, by id.
        gone: ids of those that must not be there.
        tally: what the statistics must add up to.
        wrong: answers that cannot be, in words.
    """

    jobs: dict[str, Entry] = field(default_factory=dict[str, Entry])
    gone: set[str] = field(default_factory=set[str])
    tally: Counter[tuple[str, ...]] = field(default_factory=Counter[tuple[str, ...]])
    wrong: list[str] = field(default_factory=list[str])

    def expect(self, holds: object, words: str) -> None:
        if not holds:
            self.wrong.append(words)

    def of(self, *statuses: str) -> list[Entry]:
        return [entry for entry in self.jobs.values() if entry.status in statuses]

    def made(self, new: NewJob) -> Entry:
        entry = Entry(new.id, new.kind, new.priority.value, new.max_retries, new.retention_ms == 1)
        entry.status = "scheduled" if new.delay_ms else "queued"
        self.jobs[new.id] = entry
        self.tally["submitted", new.kind, new.priority.value] += 1
        return entry

    def claimed(self, entry: Entry, fence: str) -> None:
        self.expect(entry.status == "queued", f"{entry.id} was claimed and is {entry.status}")
        entry.status, entry.fence, entry.progress = "running", fence, None
        self.tally["waits", entry.kind] += 1

    def ended(self, entry: Entry, outcome: str, delay_ms: int = 0) -> None:
        """As settle.lua and what takes jobs back decide; `ended` is a release by the supervisor."""
        asked, entry.cancel_requested = entry.cancel_requested, False
        word = {"retry": "failed", "dead": "failed", "ended": "released"}.get(outcome, outcome)
        if outcome == "completed":
            entry.status = "completed"
            self.tally["completed", entry.kind] += 1
        elif asked or outcome == "cancelled":
            entry.status = "cancelled"
            word = word if outcome in ("crashed", "lapsed", "ended") else "cancelled"
        elif outcome == "retry" and entry.retry_count < entry.max_retries:
            entry.status, entry.retry_count = "retrying", entry.retry_count + 1
            self.tally["retried", entry.kind, str(entry.retry_count)] += 1
        elif outcome in ("retry", "dead"):
            entry.status = "dead"
            self.tally["dlq", entry.kind] += 1
        else:
            entry.status = "retrying" if delay_ms else "queued"
        entry.crashes += outcome == "crashed"
        entry.lapses += outcome == "lapsed"
        entry.ends += 1
        self.tally["durations", entry.kind, word] += 1
        if word == "failed":
            self.tally["failed", entry.kind] += 1

    def retried(self, entry: Entry, *, reset: bool) -> None:
        entry.status, entry.generation, entry.progress = "queued", entry.generation + 1, None
        if reset:
            entry.retry_count = entry.crashes = entry.lapses = 0

    def removed(self, entry: Entry) -> None:
        del self.jobs[entry.id]
        self.gone.add(entry.id)


@dataclass(slots=True)
class Verdict:
    """The books of all callers against Redis. Each entry is one difference, in words."""

    jobs: int
    doubled: list[str]
    lost: list[str]
    statistics: list[str]
    findings: list[str]
    wrong: list[str]

    @property
    def is_clean(self) -> bool:
        return not (self.doubled or self.lost or self.statistics or self.findings or self.wrong)


async def judge(queue: RedisQueue, books: Iterable[Book]) -> Verdict:
    """Compares every job, every counter and the groups of the dead. Raises StoreUnavailable.

    Args:
        queue: one that nothing disturbs.
    """
    books = list(books)
    while await queue.trim():
        pass
    doubled: list[str] = []
    lost: list[str] = []
    for book in books:
        await _judge_jobs(queue, book, doubled, lost)
    expected = sum((book.tally for book in books), Counter[tuple[str, ...]]())
    found = await _tally(queue)
    statistics = [
        f"{'|'.join(name)}: {found[name]} instead of {expected[name]}"
        for name in sorted(expected.keys() | found.keys())
        if found[name] != expected[name]
    ]
    looked = await audit(queue)
    there = sum(not entry.may_be_gone for book in books for entry in book.jobs.values())
    if looked.jobs != there:
        (doubled if looked.jobs > there else lost).append(f"{looked.jobs} jobs are there instead of {there}")
    dead = sum(len(book.of("dead")) for book in books)
    grouped = await queue.client.execute_command("ZCARD", queue.keys.prefix + f"dead:group:{FINGERPRINT}")
    if grouped != dead:
        statistics.append(f"{grouped} jobs in the group of the dead instead of {dead}")
    return Verdict(
        there, doubled, lost, statistics,
        [f"{one.rule}: {one.subject} {one.detail}" for one in looked.findings],
        [words for book in books for words in book.wrong],
    )  # fmt: skip


async def _judge_jobs(queue: RedisQueue, book: Book, doubled: list[str], lost: list[str]) -> None:
    """Whatever differs upwards was done twice, whatever differs otherwise was lost."""
    entries = [entry for entry in book.jobs.values() if not entry.may_be_gone]
    for entry, job in zip(entries, await queue.get_many([entry.id for entry in entries]), strict=True):
        if job is None:
            lost.append(f"{entry.id}, which is {entry.status}, is not there")
            continue
        wanted, found = entry.facts(), facts_of(job)
        for name in wanted:
            if found[name] != wanted[name]:
                more = isinstance(wanted[name], int) and found[name] > wanted[name]
                (doubled if more else lost).append(
                    f"{entry.id}: {name} is {found[name]!r} instead of {wanted[name]!r}"
                )
    gone = sorted(book.gone)
    for job_id, job in zip(gone, await queue.get_many(gone), strict=True):
        if job is not None:
            doubled.append(f"{job_id} was removed and is {job.status}")


async def _tally(queue: RedisQueue) -> Counter[tuple[str, ...]]:
    stats = await queue.read_stats()
    found: Counter[tuple[str, ...]] = Counter()
    found.update({("submitted", *key): count for key, count in stats.submitted.items()})
    found.update({("retried", *key): count for key, count in stats.retried.items()})
    for name in ("completed", "failed", "dlq"):
        found.update({(name, kind): count for kind, count in getattr(stats, name).items()})
    found.update({("durations", *key): times.count for key, times in stats.durations.items()})
    found.update({("waits", kind): times.count for kind, times in stats.waits.items()})
    for name in ("workers_crashed", "workers_ended", "workers_lapsed"):
        found[name,] = stats.others.get(name, 0)
    return found
