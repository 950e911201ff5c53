"""What the queue tells about itself: plain data, durations in seconds or milliseconds as named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ironforge.job import Job, JobStatus
from ironforge.queue.keys import BUCKETS_MS, SLOT_MS


class Once(NamedTuple):
    """An operator's Idempotency-Key: the same key and request have their effect once within 24 h."""

    key: str
    request_hash: str


NEVER = Once("", "")


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows. `error` is the fingerprint of a dead group; `q` is found in payload, kind, id, error."""

    status: JobStatus | None = None
    queue: str | None = None
    kind: str | None = None
    tag: str | None = None
    error: str | None = None
    q: str | None = None

    @property
    def examines(self) -> bool:
        """Whether each job has to be looked at, so that counting all matches would cost too much."""
        return any((self.kind, self.tag, self.q))


@dataclass(frozen=True, slots=True)
class JobPage:
    """`next_cursor` is None when every match was returned; `total` is None where counting would cost more."""

    jobs: list[Job]
    next_cursor: str | None
    total: int | None


@dataclass(frozen=True, slots=True)
class QueueReading:
    """One queue at one moment. `queued` counts the suspects too. `version` grows with every change of its lists."""

    name: str
    paused_ms: int | None = None
    version: int = 0
    queued: int = 0
    suspects: int = 0
    scheduled: int = 0
    retrying: int = 0
    running: int = 0
    completed: int = 0
    dead: int = 0
    cancelled: int = 0
    ready_since_ms: int | None = None
    oldest_s: float | None = None


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead jobs of one error fingerprint; `sample` is the last to die, None when it left meanwhile."""

    fingerprint: str
    count: int
    first_ms: int
    last_ms: int
    sample: Job | None


class RunningJob(NamedTuple):
    id: str
    kind: str
    queue: str
    started_ms: int
    slot: int


@dataclass(frozen=True, slots=True)
class WorkerReading:
    """One worker. `lease_s` is what is left of its lease, below 0 when it ran out; `beat_age_s` None before the first."""

    id: str
    host: str
    pid: int
    supervisor_pid: int
    version: str
    queues: list[str]
    kinds: list[str]
    concurrency: int
    state: str
    started_ms: int
    lease_s: float
    beat_age_s: float | None
    claims: int
    cpu_pct: float | None
    rss_bytes: int | None
    running: list[RunningJob]
    done: int
    failed: int
    last_crash: dict[str, Any] | None
    blocked: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class TaskReading:
    """A kind that live workers can run."""

    kind: str
    workers: int
    queues: list[str]
    schema: dict[str, Any]
    timeout_s: float | None
    max_retries: int | None
    process: bool


@dataclass(slots=True)
class Histogram:
    """Observations per bucket of `BUCKETS_MS`, the last one open; not cumulative."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))
    sum_ms: int = 0

    @property
    def count(self) -> int:
        return sum(self.buckets)


@dataclass(slots=True)
class Stats:
    """Counters since the namespace began, whichever process did the work."""

    submitted: dict[tuple[str, str], int] = field(
        default_factory=dict[tuple[str, str], int]
    )  # kind, priority
    completed: dict[str, int] = field(default_factory=dict[str, int])
    failed: dict[str, int] = field(default_factory=dict[str, int])
    retried: dict[tuple[str, str], int] = field(
        default_factory=dict[tuple[str, str], int]
    )  # kind, retry_count
    dlq: dict[str, int] = field(default_factory=dict[str, int])
    durations: dict[tuple[str, str], Histogram] = field(default_factory=dict[tuple[str, str], Histogram])
    waits: dict[str, Histogram] = field(default_factory=dict[str, Histogram])
    others: dict[str, int] = field(
        default_factory=dict[str, int]
    )  # refused, workers_crashed, workers_lapsed, …


@dataclass(slots=True)
class SlotCounts:
    """Ten seconds: jobs per queue, and how long claimed jobs had waited (`BUCKETS_MS`, last one open)."""

    start_ms: int
    submitted: dict[str, int] = field(default_factory=dict[str, int])
    completed: dict[str, int] = field(default_factory=dict[str, int])
    failed: dict[str, int] = field(default_factory=dict[str, int])
    dead: dict[str, int] = field(default_factory=dict[str, int])
    wait: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))


@dataclass(frozen=True, slots=True)
class Series:
    """The last slots, oldest first; the last one is still running at `now_ms`."""

    now_ms: int
    slots: list[SlotCounts]
    step_s: float = SLOT_MS / 1000

    def recent(
        self, name: Literal["submitted", "completed", "failed", "dead"], window_s: float = 60.0
    ) -> dict[str, float]:
        """Per queue and second over the last `window_s`, the running slot included for the part that passed."""
        begin = self.now_ms - int(window_s * 1000)
        slots = [slot for slot in self.slots if slot.start_ms + SLOT_MS > begin]
        if not slots:
            return {}
        span_s = max(1.0, (self.now_ms - slots[0].start_ms) / 1000)
        sums: dict[str, int] = {}
        for slot in slots:
            counts: dict[str, int] = getattr(slot, name)
            for queue, count in counts.items():
                sums[queue] = sums.get(queue, 0) + count
        return {queue: count / span_s for queue, count in sums.items()}


@dataclass(frozen=True, slots=True)
class Health:
    """The Redis server behind the queue.

    Attributes:
        durability: what an acknowledged job survives: none, everysec, always, replicated.
        asked: the durability that was asked for: local, always, replicated.
        persistence: how it keeps its data, in the words of its configuration.
        replicas: those that follow it now.
        failing: its last write to the disk failed.
    """

    server: str
    redis_version: str
    durability: str
    policy: str
    latency_ms: float
    used_memory: int
    max_memory: int
    clock_ms: int
    asked: str = "local"
    persistence: str = ""
    replicas: int = 0
    is_replica: bool = False
    failing: bool = False


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker says of itself when it registers; `kinds` maps each kind to its schema and limits."""

    host: str
    pid: int
    supervisor_pid: int
    version: str
    queues: Sequence[str]
    concurrency: int
    kinds: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    started_ms: int = 0


class Settlement(NamedTuple):
    """How one run ended, as its worker saw it. See settle.lua for the outcome words."""

    job_id: str
    fence: str
    outcome: Literal["completed", "retry", "dead", "cancelled", "released"]
    result_json: bytes | None = None
    error_json: str | None = None
    delay_ms: int = 0
    fingerprint: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange of a lane with Redis: settle what finished, then claim for `slots` free slots (0: settle only)."""

    wid: str
    lane: int
    token: str
    slots: int
    queues: tuple[str, ...]
    settlements: Sequence[Settlement] = ()


@dataclass(frozen=True, slots=True)
class TurnReply:
    """`settled` holds ok, already or refused for each settlement. `word` is gone when the lease was lost, and late for a
    claim that came after a later one of its lane and therefore took nothing."""

    settled: list[str]
    word: Literal["ok", "gone", "late"]
    jobs: list[Job]
    orders: list[str]
    next_due_ms: int | None


class BeatReply(NamedTuple):
    word: Literal["ok", "gone"]
    orders: list[str]
