"""What needs a person, each by a stated rule. Pure: readings in, findings out.

no_worker       a queue has jobs that could run and no live worker serves it
backlog         ready jobs are older than 60 s and every slot that serves them is taken
paused          a queue is paused and jobs wait in it
dead_grew       jobs died in the last five minutes
worker_lost     a worker's lease ran out
worker_blocked  a worker's loop does not turn: it says nothing of itself
others          of Redis, see `durability.concerns`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ironforge.queue.durability import Concern
from ironforge.queue.readings import DeadGroup, QueueReading, WorkerReading
from ironforge.schemas import Attention, Subject

OLD_S = 60.0
GREW_WITHIN_MS = 5 * 60 * 1000
# A worker beats each second while it runs something and each 5 s while it is idle.
SILENT_S = 15.0
NAMED_GROUPS = 3


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything the rules look at. `groups` are those that may have grown."""

    now_ms: int
    queues: Sequence[QueueReading]
    workers: Sequence[WorkerReading]
    concerns: Sequence[Concern] = ()
    died_recently: int = 0
    groups: Sequence[DeadGroup] = field(default_factory=list[DeadGroup])


def findings(situation: Situation) -> list[Attention]:
    """Worst first, and of each rule one before the second of any: forty of a kind do not hide the rest."""
    found = [*_of_queues(situation), *_of_groups(situation), *_of_workers(situation), *_of_redis(situation)]
    seen: Counter[str] = Counter()
    ranked: list[tuple[bool, int, Attention]] = []
    for one in found:
        ranked.append((one.severity != "bad", seen[one.rule], one))
        seen[one.rule] += 1
    return [one for *_, one in sorted(ranked, key=lambda rank: rank[:2])]


def _of_queues(situation: Situation) -> Iterator[Attention]:
    for queue in situation.queues:
        waiting = queue.queued
        serving = [worker for worker in live(situation.workers) if queue.name in worker.queues]
        subject = Subject(type="queue", name=queue.name)
        if queue.paused_ms is not None:
            if waiting:
                yield _one(
                    "paused", "warn", subject,
                    f"queue {queue.name} is paused and {_jobs(waiting)} in it",
                    f"P in the console, or: ironforge queues resume {queue.name}",
                )  # fmt: skip
        elif waiting and not serving:
            yield _one(
                "no_worker", "bad", subject,
                f"no worker serves queue {queue.name}; {_jobs(waiting)}",
                f"start one: ironforge worker --queues {queue.name}",
            )  # fmt: skip
        elif (queue.oldest_s or 0) > OLD_S and not any(_has_room(worker) for worker in serving):
            yield _one(
                "backlog", "warn", subject,
                f"queue {queue.name}: {_jobs(waiting)}, the first for {queue.oldest_s:.0f} s, and no slot is free",
                "add workers, or raise --concurrency",
            )  # fmt: skip


def _of_groups(situation: Situation) -> Iterator[Attention]:
    if not situation.died_recently:
        return
    grown = [group for group in situation.groups if situation.now_ms - group.last_ms <= GREW_WITHIN_MS]
    for group in sorted(grown, key=lambda group: group.last_ms, reverse=True)[:NAMED_GROUPS]:
        job = group.sample
        error = job.last_error.type if job and job.last_error else "an error"
        kind = job.kind if job else "jobs"
        yield _one(
            "dead_grew", "bad", Subject(type="group", name=group.fingerprint),
            f"{kind} died of {error} in the last five minutes; {group.count} like it {_are(group.count)} dead",
            "3 in the console, then R to retry; or: ironforge dlq groups",
        )  # fmt: skip


def _of_workers(situation: Situation) -> Iterator[Attention]:
    for worker in situation.workers:
        subject = Subject(type="worker", name=worker.id)
        if worker.lease_s < 0:
            yield _one(
                "worker_lost", "bad", subject,
                f"worker {worker.id} on {worker.host} was lost {-worker.lease_s:.0f} s ago",
                "its jobs go back to their queues by themselves; look at its log and start another",
            )  # fmt: skip
        elif worker.blocked or (worker.beat_age_s or 0) > SILENT_S:
            job = str((worker.blocked or {}).get("job_id", ""))
            yield _one(
                "worker_blocked", "warn", subject,
                f"the loop of worker {worker.id} is blocked" + (f" by job {job}" if job else ""),
                "a handler blocks: make it `def`, or process=True; 4 in the console shows its stack",
            )  # fmt: skip


def _of_redis(situation: Situation) -> Iterator[Attention]:
    for one in situation.concerns:
        yield _one(one.rule, one.severity, Subject(type="redis", name="redis"), one.message, one.hint)


def live(workers: Iterable[WorkerReading]) -> list[WorkerReading]:
    return [worker for worker in workers if worker.lease_s >= 0]


def _has_room(worker: WorkerReading) -> bool:
    return worker.state == "running" and worker.claims < worker.concurrency


def _one(rule: str, severity: str, subject: Subject, message: str, hint: str) -> Attention:
    return Attention(
        rule=rule,
        severity="bad" if severity == "bad" else "warn",
        subject=subject,
        message=message,
        hint=hint,
    )


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'} wait{'s' if count == 1 else ''}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
