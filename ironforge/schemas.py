"""What the server answers: the shapes of every document, for the server that writes them and those who read them.

Instants are RFC 3339 with milliseconds and `Z`; durations are seconds, named `_s`. Readers ignore members they do not
know, so that a newer server can say more. What is sent to the server is in `requests`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from ironforge.job import JobStatus, Priority

MAX_PAGE = 200
_LAST_INSTANT_MS = 253_402_300_799_999  # the end of the year 9999


def instant_text(ms: int | None) -> str | None:
    """Unix milliseconds as RFC 3339 with milliseconds and `Z`; None for what is no instant."""
    if ms is None or not 0 <= ms <= _LAST_INSTANT_MS:
        return None
    at = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def instant_at(ms: int | None) -> datetime | None:
    """As `instant_text`, as a datetime."""
    return None if instant_text(ms) is None else datetime.fromtimestamp((ms or 0) / 1000, UTC)


def _to_text(at: datetime) -> str | None:
    return instant_text(round(at.timestamp() * 1000))


Instant = Annotated[datetime, PlainSerializer(_to_text, when_used="json")]


class JobError(BaseModel):
    type: str = Field(examples=["ConnectionError"])
    message: str
    traceback: str


class Attempt(BaseModel):
    number: int
    started_at: Instant | None
    finished_at: Instant | None
    worker: str
    outcome: str = Field(description="completed, failed, cancelled, released, crashed or lapsed")
    error: JobError | None


class Job(BaseModel):
    """A stored job."""

    id: str = Field(examples=["019ab1c2-6d1f-7000-8a2b-3c4d5e6f7081"])
    kind: str
    queue: str
    payload: Any = Field(description="Exactly as accepted, integers of any size included.")
    priority: Priority
    status: JobStatus
    retry_count: int
    max_retries: int
    created_at: Instant | None
    run_at: Instant | None
    started_at: Instant | None
    finished_at: Instant | None
    timeout_s: float = Field(
        description="Limit of one attempt; a job that sets none may be given less by its task."
    )
    worker: str | None
    last_error: JobError | None
    attempts: list[Attempt] = Field(description="The last 10.")
    result: Any
    progress: Any
    crashes: int = Field(description="Deaths of its process that a supervisor saw; at 3 the job is dead.")
    lapses: int = Field(description="Losses of its worker that nobody saw; at 20 the job is dead.")
    generation: int = Field(description="How many times a person has retried it.")
    retry_of: str | None
    unique_key: str | None
    tags: list[str]
    cancel_requested: bool = False
    reason: str | None = Field(default=None, description="Why it is dead, when that is not its last error.")
    suspect: bool = Field(default=False, description="May have killed its process: runs alone next.")
    format: int | None = Field(
        default=None,
        description="Only of a job that a newer version stored in a form this one cannot read: payload, result and "
        "attempts are left out then.",
    )


class JobPage(BaseModel):
    jobs: list[Job]
    next_cursor: str | None = Field(description="null when every match was returned; a page may be short.")
    total: int | None = Field(description="null where counting would cost more than the page.")


class EntryError(BaseModel):
    """Why a job of a batch was refused."""

    index: int
    pointer: str = Field(description="JSON pointer within that job.")
    detail: str


class BatchOut(BaseModel):
    ids: list[str | None] = Field(description="One for each job, null for one that was refused.")
    errors: list[EntryError]


class Queue(BaseModel):
    """One queue now, with rates over the last minute."""

    name: str
    paused: bool
    paused_at: Instant | None
    queue_depth: int = Field(description="Jobs that could run now.")
    queued: int
    scheduled: int
    retrying: int
    running: int
    dead: int
    completed: int = Field(description="Still kept.")
    cancelled: int
    suspects: int
    oldest_s: float | None = Field(description="How long the longest waiting ready job has waited.")
    in_per_s: float
    out_per_s: float
    failed_per_s: float
    eta_s: float | None = Field(description="Until it is empty at these rates; null when it does not shrink.")
    workers: int
    spark: list[float] = Field(
        description="Jobs completed per second in each of 30 slots of 10 s, oldest first."
    )


class Queues(BaseModel):
    queues: list[Queue]


class Subject(BaseModel):
    type: Literal["queue", "worker", "group", "redis"]
    name: str


class Attention(BaseModel):
    """Something that needs a person, by a stated rule."""

    rule: str = Field(
        description="no_worker, backlog, paused, dead_grew, worker_lost, worker_blocked; and of Redis: durability, "
        "eviction, replicas, replica, disk, memory, clock"
    )
    severity: Literal["warn", "bad"]
    subject: Subject
    message: str
    hint: str = Field(description="What to do about it.")


class Stats(BaseModel):
    """All queues together."""

    queue_depth: int = Field(description="Jobs that could run now.", examples=[42])
    dlq_depth: int = Field(description="Dead jobs.", examples=[3])
    active_jobs: int = Field(description="Jobs that run.", examples=[5])
    scheduled: int
    retrying: int
    completed: int = Field(description="Ever.")
    failed: int = Field(description="Attempts that ended in an error, ever.")
    cancelled: int = Field(description="Still kept.")
    submitted: int = Field(description="Ever.")
    oldest_s: float | None
    throughput: float = Field(description="Completed per second over the last minute.")
    failing: float = Field(description="Failed attempts per second over the last minute.")
    workers: int
    slots: int
    wait_p50_s: float | None = Field(description="Wait of the jobs claimed in the last minute.")
    wait_p99_s: float | None
    attention: list[Attention]


class Group(BaseModel):
    """Dead jobs with the same kind and error fingerprint."""

    fingerprint: str
    kind: str
    error_type: str
    error_message: str
    where: str = Field(description="The innermost line of the user's code in the traceback.")
    queue: str
    count: int
    first_at: Instant | None
    last_at: Instant | None
    sample_id: str | None


class Groups(BaseModel):
    groups: list[Group]
    next_cursor: str | None
    total: int


class RunningJob(BaseModel):
    id: str
    kind: str
    queue: str
    started_at: Instant | None
    elapsed_s: float
    progress: Any = None


class Worker(BaseModel):
    """One worker process."""

    id: str
    host: str
    pid: int
    supervisor_pid: int
    version: str
    queues: list[str]
    kinds: list[str]
    concurrency: int
    state: str = Field(description="running, quiet, stopping or lost")
    started_at: Instant | None
    lease_s: float = Field(description="What is left of its lease; below 0 it is lost.")
    beat_age_s: float | None
    cpu_pct: float | None
    rss_bytes: int | None
    busy: int
    running: list[RunningJob]
    done: int
    failed: int
    last_crash: dict[str, Any] | None
    blocked: dict[str, Any] | None


class Workers(BaseModel):
    workers: list[Worker]


class Task(BaseModel):
    """A kind that live workers can run."""

    model_config = ConfigDict(populate_by_name=True)

    kind: str
    workers: int
    queues: list[str]
    payload_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of the payload.")
    timeout_s: float | None
    max_retries: int | None
    process: bool


class Tasks(BaseModel):
    tasks: list[Task]


class RedisHealth(BaseModel):
    server: str = Field(examples=["valkey 9.1.2"])
    latency_ms: float


class Health(BaseModel):
    status: Literal["ok"]
    version: str
    redis: RedisHealth | None = None
    durability: str | None = Field(
        default=None, description="What an accepted job survives: none, everysec, always or replicated."
    )
    persistence: str | None = Field(default=None, examples=["appendonly yes, appendfsync everysec"])
    replicas: int | None = Field(default=None, description="Those that follow Redis now.")
    warnings: list[str] | None = Field(default=None, description="What of this Redis needs a person.")
    namespace: str | None = None


class Live(BaseModel):
    status: Literal["alive"]
    version: str


class Finding(BaseModel):
    pointer: str = Field(
        description="JSON pointer into the request, or the name of a parameter after a slash."
    )
    detail: str


class Problem(BaseModel):
    """RFC 9457. `type` is a stable code; the rest is for people."""

    type: str = Field(examples=["invalid"])
    title: str
    status: int
    detail: str
    errors: list[Finding] | None = None


class Hello(BaseModel):
    """The first event of a stream, and again after the stream lost something: drop what you have."""

    epoch: str
    seq: int
    server: str
    api: int
    role: str
    namespace: str
    redis: str
    durability: str
    now: Instant | None


class Series(BaseModel):
    """Slots of `step_s`, oldest first, the last one still running. Counts are per second."""

    step_s: float
    completed: list[float]
    failed: list[float]
    submitted: list[float]
    wait_p50_s: list[float | None]
    wait_p99_s: list[float | None]


class WorkerCounts(BaseModel):
    count: int
    slots: int
    busy: int
    lost: int
    quiet: int


class Overview(BaseModel):
    """The `stats` event without its `seq`."""

    now: Instant | None
    stats: Stats
    queues: list[Queue]
    series: Series
    workers: WorkerCounts
    redis_ms: float
