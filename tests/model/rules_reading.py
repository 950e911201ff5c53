"""Rules that only look: what the product reads has to be what the model knows, and looking changes nothing."""

from __future__ import annotations

from typing import Any

from ironforge.job import JobStatus
from ironforge.queue.auditor import audit
from ironforge.queue.readings import JobFilter
from tests.model.choices import Choices, pick
from tests.model.machine import Expected, Machine, Verb
from tests.model.rules_producers import same_job


def read(machine: Machine, choices: Choices) -> None:
    pick(choices, (_queues, _jobs, _groups, _audit))(machine, choices)


def _queues(machine: Machine, choices: Choices) -> None:
    def right(told: Any) -> bool:
        known = {
            name: queue for name, queue in machine.model.queues.items() if queue.known or name == "default"
        }
        if {reading.name for reading in told} != {"default", *known}:
            return False
        return all(_counted(machine, reading) for reading in told)

    _look(machine, "read the queues", machine.queue.read_queues, right)


def _counted(machine: Machine, reading: Any) -> bool:
    jobs = [job for job in machine.model.jobs.values() if job.queue == reading.name]
    queue = machine.model.queues[reading.name]
    return (
        all(
            getattr(reading, status.value) == sum(job.status == status for job in jobs)
            for status in JobStatus
        )
        and reading.suspects == sum(job.index == "suspects" for job in jobs)
        and (reading.paused_ms, reading.version) == (queue.paused_ms, queue.changes)
    )


def _jobs(machine: Machine, choices: Choices) -> None:
    status = pick(choices, tuple(JobStatus))
    falling = status in (JobStatus.DEAD, JobStatus.COMPLETED, JobStatus.CANCELLED)

    def right(told: Any) -> bool:
        found = [job for job in machine.model.jobs.values() if job.status == status]
        wanted = sorted(found, key=lambda job: (job.place, job.id), reverse=falling)
        return [job.id for job in told.jobs] == [job.id for job in wanted] and all(
            same_job(known, job) for known, job in zip(wanted, told.jobs, strict=True)
        )

    _look(machine, f"list {status} jobs", lambda: machine.queue.list_jobs(JobFilter(status=status)), right)


def _groups(machine: Machine, choices: Choices) -> None:
    def right(told: Any) -> bool:
        dead = [job.fingerprint for job in machine.model.jobs.values() if job.status == "dead"]
        return {group.fingerprint: group.count for group in told[0]} == {
            name: dead.count(name) for name in dead
        }

    _look(machine, "read the dead groups", machine.queue.dead_groups, right)


def _nothing_found(told: Any) -> bool:
    """By its times a job may have begun after a pause that came later, when the clock ran back between the two."""
    return all(one.rule == "paused" for one in told.findings)


def _audit(machine: Machine, choices: Choices) -> None:
    """The auditor finds nothing; but where maintenance is late, it may say so."""
    model = machine.model
    late = any(
        job.place < model.now_ms for job in model.jobs.values() if job.status in ("scheduled", "retrying")
    )
    if not late and all(worker.expiry_ms > model.now_ms for worker in model.workers.values()):
        _look(machine, "audit", lambda: audit(machine.queue), _nothing_found)


def _look(machine: Machine, words: str, start: Any, right: Any) -> None:
    def expect() -> Expected:
        return right
        yield  # a generator that asks nothing that changes anything

    machine.tell(words)
    machine.do(Verb(words, start, expect))
