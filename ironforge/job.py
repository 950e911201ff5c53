"""A job: its fields, its statuses, and the table of legal transitions."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self, cast

DEFAULT_QUEUE = "default"
DEFAULT_MAX_RETRIES = 3
MAX_MAX_RETRIES = 100
DEFAULT_TIMEOUT_S = 300.0  # for a job that sets none, run by a task that sets none
MAX_DELAY_S = 366 * 86_400
MAX_PAYLOAD_BYTES = 256 * 1024
MAX_TAGS = 20
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
ID_PATTERN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SHARD_BITS = 12
# The form in which jobs are stored, which grows with every change that an older version would misread. A job says
# its own, unless it is 1. See docs/upgrades.md.
FORMAT = 1


class Priority(StrEnum):
    """Strict order within a queue; first in, first out within one priority."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for critical … 3 for low: the high bits of a queued job's score."""
        return _RANKS[self]

    @classmethod
    def from_rank(cls, rank: int) -> Priority:
        return _BY_RANK[rank]


_BY_RANK = (Priority.CRITICAL, Priority.HIGH, Priority.MEDIUM, Priority.LOW)
_RANKS = {priority: rank for rank, priority in enumerate(_BY_RANK)}


class JobStatus(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"


_S = JobStatus
LIVE = frozenset({_S.SCHEDULED, _S.QUEUED, _S.RUNNING, _S.RETRYING})
TERMINAL = frozenset({_S.COMPLETED, _S.DEAD, _S.CANCELLED})
# What may follow what. The Lua scripts enforce it; this table is what tests and the auditor compare them with.
TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    _S.SCHEDULED: frozenset({_S.QUEUED, _S.CANCELLED}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.COMPLETED, _S.RETRYING, _S.DEAD, _S.CANCELLED, _S.QUEUED}),
    _S.RETRYING: frozenset({_S.QUEUED, _S.CANCELLED}),
    _S.COMPLETED: frozenset(),
    _S.DEAD: frozenset({_S.QUEUED}),
    _S.CANCELLED: frozenset({_S.QUEUED}),
}


@dataclass(frozen=True, slots=True)
class JobError:
    """What went wrong in one attempt, as text: an error is never rebuilt into a class."""

    type: str
    message: str
    traceback: str = ""

    def to_json(self) -> str:
        return json.dumps(
            {"type": self.type, "message": self.message, "traceback": self.traceback}, separators=(",", ":")
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> JobError:
        """Tolerant: what Redis holds is treated as untrusted."""
        try:
            found: object = json.loads(text)
        except ValueError:
            return cls("Unreadable", "the stored error is not JSON")
        if not isinstance(found, dict):
            return cls("Unreadable", "the stored error is not an object")
        fields = cast("dict[str, object]", found)
        return cls(*(str(fields.get(name, "")) for name in ("type", "message", "traceback")))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a job that ended.

    `outcome` is completed, failed, cancelled, released (at a shutdown), crashed (its process died, seen by the
    supervisor) or lapsed (its worker's lease ran out unseen). Times are Unix milliseconds of the Redis server.
    """

    number: int
    started_ms: int
    finished_ms: int
    worker: str
    outcome: str
    error: JobError | None = None


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """Seconds before the n-th retry: min(cap_s, base_s * 2^(n-1)), plus at most `jitter` of it."""

    base_s: float = 2.0
    cap_s: float = 3600.0
    jitter: float = 0.1

    def to_json(self) -> str:
        return json.dumps({"base_s": self.base_s, "cap_s": self.cap_s, "jitter": self.jitter})

    @classmethod
    def from_json(cls, text: str | bytes) -> BackoffPolicy:
        try:
            fields = json.loads(text)
            return cls(float(fields["base_s"]), float(fields["cap_s"]), float(fields["jitter"]))
        except (ValueError, TypeError, KeyError):
            return cls()


@dataclass(slots=True)
class Job:
    """A stored job. Instants are Unix milliseconds by the Redis server's clock; `*_at` gives them as datetimes."""

    id: str
    kind: str
    queue: str
    status: JobStatus
    payload_json: bytes = b"{}"
    priority: Priority = Priority.MEDIUM
    retry_count: int = 0
    max_retries: int = DEFAULT_MAX_RETRIES
    created_ms: int = 0
    run_at_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    timeout_s: float | None = None
    worker: str | None = None
    last_error: JobError | None = None
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    result_json: bytes | None = None
    progress_json: bytes | None = None
    crashes: int = 0
    lapses: int = 0
    generation: int = 0
    retry_of: str | None = None
    tags: list[str] = field(default_factory=list[str])
    fence: str = ""
    backoff: BackoffPolicy | None = None
    retention_s: float | None = None
    cancel_requested: bool = False
    suspect: bool = False
    reason: str | None = None
    fingerprint: str | None = None
    format: int = 1
    _payload: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def is_newer(self) -> bool:
        """Stored by a newer version in a form that this one cannot read: payload, result and attempts are left out."""
        return self.format > FORMAT

    @property
    def payload(self) -> dict[str, Any]:
        """The payload, decoded once."""
        if self._payload is None:
            stored = self.payload_json
            self._payload = {} if stored == b"{}" else cast("dict[str, Any]", loads_any_int(stored))
        return self._payload

    @property
    def result(self) -> Any:
        return None if self.result_json is None else loads_any_int(self.result_json)

    @property
    def progress(self) -> Any:
        return None if self.progress_json is None else json.loads(self.progress_json)

    @property
    def created_at(self) -> datetime:
        return instant(self.created_ms)

    @property
    def run_at(self) -> datetime | None:
        return None if self.run_at_ms is None else instant(self.run_at_ms)

    @property
    def started_at(self) -> datetime | None:
        return None if self.started_ms is None else instant(self.started_ms)

    @property
    def finished_at(self) -> datetime | None:
        return None if self.finished_ms is None else instant(self.finished_ms)


@dataclass(slots=True)
class NewJob:
    """What a caller asks for, already validated. Durations are whole milliseconds."""

    kind: str
    payload_json: bytes = b"{}"
    queue: str = DEFAULT_QUEUE
    priority: Priority = Priority.MEDIUM
    max_retries: int = DEFAULT_MAX_RETRIES
    delay_ms: int | None = None
    run_at_ms: int | None = None
    timeout_ms: int | None = None
    retention_ms: int | None = None
    backoff: BackoffPolicy | None = None
    tags: tuple[str, ...] = ()
    retry_of: str | None = None
    id: str = ""

    def with_id(self, shard: int = 0) -> Self:
        if not self.id:
            self.id = new_job_id(shard)
        return self


_any_int = json.JSONDecoder(
    parse_int=lambda digits: int(digits) if len(digits) < 4_000 else int(Decimal(digits))
)


def loads_any_int(text: bytes | str) -> Any:
    """As json.loads, for integers of any length: Python itself refuses to read more than 4,300 digits."""
    return _any_int.decode(text if isinstance(text, str) else text.decode())


def instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


class _IdClock:
    """Milliseconds and 62 bits that follow them: random, and one more within the same millisecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms = self._tail = 0

    def tick(self) -> tuple[int, int]:
        now_ms = time.time_ns() // 1_000_000
        with self._lock:
            if now_ms > self._ms:
                self._ms, self._tail = now_ms, int.from_bytes(os.urandom(8)) >> 3
            else:
                self._tail += 1
            return self._ms, self._tail


_id_clock = _IdClock()


def new_job_id(shard: int = 0) -> str:
    """A UUID version 7 that carries its shard (0..4095) in the 12 `rand_a` bits.

    Those that one process makes for a shard sort in the order in which they were made.
    """
    ms, tail = _id_clock.tick()
    text = f"{ms << 80 | 7 << 76 | (shard & 0xFFF) << 64 | 2 << 62 | tail:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def shard_of(job_id: str) -> int:
    """The shard a job's keys live in. The id must have the form of `ID_PATTERN`."""
    return int(job_id[15:18], 16)
