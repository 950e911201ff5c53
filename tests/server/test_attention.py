"""Each rule fires when it should, and only then."""

from __future__ import annotations

from dataclasses import replace

from ironforge.job import Job, JobError, JobStatus
from ironforge.queue.durability import concerns
from ironforge.queue.readings import DeadGroup, Health, QueueReading, WorkerReading
from ironforge.server.attention import GREW_WITHIN_MS, Situation, findings

NOW = 1_800_000_000_000
QUEUE = QueueReading("default")
WORKER = WorkerReading(
    id="w1", host="h", pid=1, supervisor_pid=2, version="0.1.0", queues=["default"], kinds=[], concurrency=4,
    state="running", started_ms=NOW, lease_s=10.0, beat_age_s=1.0, claims=0, cpu_pct=None, rss_bytes=None, running=[],
    done=0, failed=0, last_crash=None, blocked=None,
)  # fmt: skip
DEAD = Job("j", "mail", "default", JobStatus.DEAD, last_error=JobError("SMTPError", "no"))
REDIS = Health(
    "redis 7.0.15", "7.0.15", "everysec", "noeviction", 0.1, 1, 0, NOW, persistence="appendonly yes"
)
KEEPS_NOTHING = concerns(replace(REDIS, durability="none", persistence="appendonly no"), NOW)
GROUP = DeadGroup("f1", 3, NOW - 10_000, NOW - 1_000, DEAD)


def _rules(
    queue: QueueReading = QUEUE, worker: WorkerReading | None = WORKER, **others: object
) -> list[tuple[str, str]]:
    situation = Situation(NOW, [queue], [worker] if worker else [])
    return [(one.rule, one.severity) for one in findings(replace(situation, **others))]  # type: ignore[arg-type]


def test_nothing_wrong() -> None:
    assert _rules() == []
    assert _rules(worker=None) == [], "no worker is no matter while there is no job"
    assert _rules(replace(QUEUE, queued=5, oldest_s=1.0)) == []
    assert _rules(concerns=concerns(REDIS, NOW)) == []


def test_no_worker() -> None:
    waiting = replace(QUEUE, queued=1, oldest_s=0.1)
    assert _rules(waiting, None) == [("no_worker", "bad")]
    assert _rules(waiting, replace(WORKER, queues=["mail"])) == [("no_worker", "bad")]
    assert ("no_worker", "bad") in _rules(waiting, replace(WORKER, lease_s=-1.0))
    assert _rules(replace(QUEUE, scheduled=3), None) == []


def test_backlog() -> None:
    old = replace(QUEUE, queued=9, oldest_s=61.0)
    assert _rules(old, replace(WORKER, claims=4)) == [("backlog", "warn")]
    assert _rules(old, replace(WORKER, claims=3)) == [], "a slot is free"
    assert _rules(old, replace(WORKER, state="quiet")) == [("backlog", "warn")]
    assert _rules(replace(old, oldest_s=59.0), replace(WORKER, claims=4)) == []


def test_paused() -> None:
    assert _rules(replace(QUEUE, paused_ms=NOW, queued=2)) == [("paused", "warn")]
    assert _rules(replace(QUEUE, paused_ms=NOW, queued=2), None) == [("paused", "warn")]
    assert _rules(replace(QUEUE, paused_ms=NOW)) == []


def test_dead_grew() -> None:
    assert _rules(died_recently=1, groups=[GROUP]) == [("dead_grew", "bad")]
    assert _rules(died_recently=0, groups=[GROUP]) == []
    assert _rules(died_recently=1, groups=[replace(GROUP, last_ms=NOW - GREW_WITHIN_MS - 1)]) == []
    assert _rules(died_recently=1, groups=[replace(GROUP, sample=None)]) == [("dead_grew", "bad")]
    (one,) = findings(Situation(NOW, [QUEUE], [WORKER], (), 1, [GROUP]))
    assert "mail" in one.message and "SMTPError" in one.message and one.subject.name == "f1"


def test_workers() -> None:
    assert _rules(worker=replace(WORKER, lease_s=-3.0)) == [("worker_lost", "bad")]
    assert _rules(worker=replace(WORKER, beat_age_s=16.0)) == [("worker_blocked", "warn")]
    assert _rules(worker=replace(WORKER, blocked={"job_id": "j", "since_s": 3})) == [
        ("worker_blocked", "warn")
    ]
    assert _rules(worker=replace(WORKER, beat_age_s=None)) == []


def test_durability_and_the_worst_comes_first() -> None:
    assert _rules(concerns=KEEPS_NOTHING) == [("durability", "warn")]
    assert _rules(
        replace(QUEUE, queued=1), None, concerns=KEEPS_NOTHING, died_recently=1, groups=[GROUP]
    ) == [
        ("no_worker", "bad"),
        ("dead_grew", "bad"),
        ("durability", "warn"),
    ]


def test_many_of_one_rule_do_not_hide_another() -> None:
    queues = [QueueReading(f"q{at}", queued=1) for at in range(40)]
    found = findings(
        Situation(
            0, queues, [], concerns=KEEPS_NOTHING, died_recently=1, groups=[DeadGroup("f1", 3, 0, 0, None)]
        )
    )
    assert [one.rule for one in found[:3]] == ["no_worker", "dead_grew", "no_worker"]
    assert len(found) == 42
