"""What the model believes: jobs, queues, workers, counters as plain Python, and how they look as keys.

The model has no indexes. Which sorted set holds a job follows from the job, so a script that forgets an index, or
leaves an id behind, disagrees with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ironforge.queue.keys import BUCKETS_MS, INDEXES, SLOT_MS

EPOCH_US = 1_577_836_800_000_000
BAND = 2**51
DAY_MS = 86_400_000
SLOT_KEPT_MS = 3_600_000
SUSPECT_AT = 2
ATTEMPTS_KEPT = 10
MAX_KINDS = 200


def text(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@dataclass(slots=True)
class ModelJob:
    """One job. `accepted` holds the fields as they came in; `place` is the score in its one index."""

    id: str
    queue: str
    kind: str
    rank: int
    created_ms: int
    accepted: dict[bytes, bytes]
    status: str = "queued"
    place: int = 0
    sequence: int | None = None
    run_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    worker: str | None = None
    fence: str | None = None
    settled: str | None = None
    cancel_requested: bool = False
    retry_count: int = 0
    crashes: int = 0
    lapses: int = 0
    generation: int = 0
    attempts: list[bytes] = field(default_factory=list[bytes])
    attempt_count: int = 0
    last_error: bytes | None = None
    result: bytes | None = None
    progress: bytes | None = None
    reason: str | None = None
    fingerprint: str | None = None

    @property
    def max_retries(self) -> int:
        return int(self.accepted.get(b"max_retries", b"3"))

    @property
    def kept_ms(self) -> int:
        return int(self.accepted.get(b"retention_ms", DAY_MS))

    @property
    def deliveries(self) -> int:
        return int(self.fence.split(":")[0]) if self.fence else 0

    @property
    def index(self) -> str:
        return "suspects" if self.status == "queued" and self.crashes >= SUSPECT_AT else self.status

    def fields(self) -> dict[bytes, bytes]:
        found = {
            b"kind": self.kind.encode(),
            b"queue": self.queue.encode(),
            b"status": self.status.encode(),
            b"created_at": b"%d" % self.created_ms,
            **self.accepted,
        }
        for name in _OPTIONAL:
            value = getattr(self, name)
            if value is not None:
                found[name.encode()] = text(value)
        for name in _COUNTS:
            if value := getattr(self, name):
                found[name.encode()] = b"%d" % value
        if self.cancel_requested:
            found[b"cancel_requested"] = b"1"
        first = self.attempt_count - len(self.attempts) + 1
        for at, attempt in enumerate(self.attempts):
            found[b"attempt:%d" % (first + at)] = attempt
        return found


_OPTIONAL = (
    "sequence", "run_at", "started_at", "finished_at", "worker", "fence", "settled", "last_error", "result",
    "progress", "reason", "fingerprint",
)  # fmt: skip
_COUNTS = ("retry_count", "crashes", "lapses", "generation", "attempt_count")


@dataclass(slots=True)
class ModelQueue:
    known: bool = False
    sequence: int = 0
    paused_ms: int | None = None
    changes: int = 0
    suspect_worker: str | None = None
    wake: bool = False

    def settings(self) -> dict[bytes, bytes]:
        found = {b"sequence": self.sequence, b"changes": self.changes}
        stored = {name: b"%d" % value for name, value in found.items() if value}
        if self.paused_ms is not None:
            stored[b"paused"] = b"%d" % self.paused_ms
        if self.suspect_worker is not None:
            stored[b"suspect_worker"] = self.suspect_worker.encode()
        return stored


@dataclass(slots=True)
class ModelWorker:
    expiry_ms: int
    said: dict[bytes, bytes]
    lanes: dict[int, str] = field(default_factory=dict[int, str])
    turns: dict[int, int] = field(default_factory=dict[int, int])

    def fields(self) -> dict[bytes, bytes]:
        lanes = {b"lane:%d" % lane: token.encode() for lane, token in self.lanes.items()}
        return {
            **self.said,
            **lanes,
            **{b"turn:%d" % lane: b"%d" % turn for lane, turn in self.turns.items()},
        }


@dataclass(slots=True)
class Ending:
    """A string with an end: what it holds, when it is over by the model's clock, and its whole time to live."""

    value: bytes
    over_ms: int
    ttl_ms: int


class Books:
    """The state, the clock, and what one script call gathers before it ends."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us
        self.jobs: dict[str, ModelJob] = {}
        self.queues: defaultdict[str, ModelQueue] = defaultdict(ModelQueue)
        self.workers: dict[str, ModelWorker] = {}
        self.strings: dict[str, Ending] = {}
        self.slots: dict[int, Ending] = {}
        self.kinds: set[str] = set()
        self.meta: dict[bytes, bytes] = {}
        self.keys: dict[bytes, Any] = {}
        self._dirty_jobs: set[str] = set()
        self._dirty_queues: set[str] = set()
        self._dirty_workers: set[str] = set()
        self._touched: set[str] = set()
        self._waked: set[str] = set()
        self._groups_dirty = False

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    # --- what a script call gathers ---

    def touch(self, queue: str) -> None:
        self._touched.add(queue)

    def wake(self, queue: str, awake: bool = True) -> None:
        (self._waked.add if awake else self._waked.discard)(queue)

    def next_sequence(self, queue: str, at_us: int | None = None) -> int:
        state = self.queues[queue]
        state.sequence = max(state.sequence + 1, (self.now_us if at_us is None else at_us) - EPOCH_US)
        self._dirty_queues.add(queue)
        return state.sequence

    def count(self, name: str, by: int = 1) -> None:
        stats = self.keys.setdefault(b"stats", {})
        stats[name.encode()] = b"%d" % (int(stats.get(name.encode(), 0)) + by)

    def count_in_slot(self, name: str) -> None:
        slot = self.now_ms // SLOT_MS
        key = b"stats:%d" % slot
        counts = self.keys.setdefault(key, {})
        counts[name.encode()] = b"%d" % (int(counts.get(name.encode(), 0)) + 1)
        self.slots[slot] = Ending(key, self.now_ms + SLOT_KEPT_MS, SLOT_KEPT_MS)

    def observe(self, name: str, ms: int) -> None:
        ms = max(0, ms)
        self.count(f"{name}|{bucket(ms)}")
        self.count(f"{name}|sum", ms)

    def label(self, kind: str) -> str:
        if kind not in self.kinds:
            if len(self.kinds) >= MAX_KINDS:
                return "other"
            self.kinds.add(kind)
            self.keys[b"kinds"] = frozenset(name.encode() for name in self.kinds)
        return kind

    def mark(self, job: ModelJob) -> None:
        """The job, its indexes and its worker may look different now."""
        self._dirty_jobs.add(job.id)
        self._dirty_queues.add(job.queue)
        if job.worker:
            self._dirty_workers.add(job.worker)
        if job.fingerprint:
            self._groups_dirty = True

    def mark_queue(self, queue: str) -> None:
        self._dirty_queues.add(queue)

    def mark_worker(self, wid: str) -> None:
        self._dirty_workers.add(wid)

    def keep_string(self, name: str, value: str, ttl_ms: int) -> None:
        self.strings[name] = Ending(value.encode(), self.now_ms + ttl_ms, ttl_ms)
        self.keys[name.encode()] = value.encode()

    def drop_string(self, name: str) -> None:
        self.strings.pop(name, None)
        self.keys.pop(name.encode(), None)

    def end_call(self) -> None:
        """What every script does last: one more change of each queue it touched, and the wake marks."""
        for queue in self._touched:
            self.queues[queue].changes += 1
            self._dirty_queues.add(queue)
        for queue in self._waked:
            if self.queues[queue].paused_ms is None:
                self.queues[queue].wake = True
                self._dirty_queues.add(queue)
        self._touched.clear()
        self._waked.clear()

    # --- how it looks as keys ---

    def render(self) -> dict[bytes, Any]:
        """Every key with its value, as `Mirror.keys` has it."""
        for job_id in self._dirty_jobs:
            job = self.jobs.get(job_id)
            self._set(f"job:{job_id}", job.fields() if job else None)
        for queue in self._dirty_queues:
            self._render_queue(queue)
        if self._dirty_workers:
            for wid in self._dirty_workers:
                self._render_worker(wid)
            self._set("workers", _ranked((wid, worker.expiry_ms) for wid, worker in self.workers.items()))
        if self._groups_dirty:
            self._render_groups()
        self._dirty_jobs.clear()
        self._dirty_queues.clear()
        self._dirty_workers.clear()
        return self.keys

    def ttls(self) -> dict[bytes, int]:
        """Names of the keys that have an end -> their whole time to live, ms."""
        found = {name.encode(): ending.ttl_ms for name, ending in self.strings.items()}
        found.update((ending.value, ending.ttl_ms) for ending in self.slots.values())
        return found

    def _set(self, name: str, value: Any) -> None:
        if value:
            self.keys[name.encode()] = value
        else:
            self.keys.pop(name.encode(), None)

    def _render_queue(self, queue: str) -> None:
        parts: dict[str, list[tuple[str, int]]] = {part: [] for part in INDEXES}
        for job in self.jobs.values():
            if job.queue == queue:
                parts[job.index].append((job.id, job.place))
        for part, members in parts.items():
            self._set(f"q:{queue}:{part}", _ranked(members))
        state = self.queues[queue]
        self._set(f"q:{queue}:settings", state.settings())
        self._set(f"q:{queue}:wake", [[b"ready", 1.0]] if state.wake else None)
        self._set("queues", frozenset(name.encode() for name, state in self.queues.items() if state.known))

    def _render_worker(self, wid: str) -> None:
        held = [job for job in self.jobs.values() if job.worker == wid]
        worker = self.workers.get(wid)
        fields = None
        if worker:
            fields = worker.fields()
            for job in held:
                if job.crashes >= SUSPECT_AT:
                    fields[b"alone"] = job.id.encode()
        self._set(f"worker:{wid}", fields)
        self._set(f"worker:{wid}:claims", frozenset(job.id.encode() for job in held))
        asked = frozenset(b"cancel:" + job.id.encode() for job in held if job.cancel_requested)
        self._set(f"worker:{wid}:orders", asked)

    def _render_groups(self) -> None:
        groups: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for job in self.jobs.values():
            if job.status == "dead" and job.fingerprint:
                groups[job.fingerprint].append((job.id, job.place))
        for key in [key for key in self.keys if key.startswith(b"dead:group:")]:
            del self.keys[key]
        for fingerprint, members in groups.items():
            self._set(f"dead:group:{fingerprint}", _ranked(members))
        self._set("dead:groups", _ranked((name, len(members)) for name, members in groups.items()))
        self._groups_dirty = False


def bucket(ms: int) -> int:
    return next((at for at, bound in enumerate(BUCKETS_MS, 1) if ms <= bound), len(BUCKETS_MS) + 1)


def _ranked(members: Iterable[tuple[str, int]]) -> list[list[Any]]:
    """As a sorted set gives them: by score, then by member."""
    return [
        [member.encode(), float(score)] for member, score in sorted(members, key=lambda one: (one[1], one[0]))
    ]
