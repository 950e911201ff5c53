"""The model's producers: what a script call answers, and what it changes. One method a script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ironforge.job import NewJob
from tests.model.books import DAY_MS, ModelJob, text
from tests.model.ready import Ready

DUE_SOON_MS = 5_000
KEY_TTL_MS = DAY_MS


class Producing(Ready):
    def enqueue(self, new_jobs: Sequence[NewJob]) -> list[Any]:
        reply: list[Any] = [self.now_ms]
        for new in new_jobs:
            reply += self._enqueue_one(new)
        self.end_call()
        return reply

    def _enqueue_one(self, new: NewJob) -> list[Any]:
        if new.id in self.jobs:
            return [b"exists", 0]
        due = 0
        if new.delay_ms is not None:
            due = self.now_ms + new.delay_ms
        elif new.run_at_ms is not None:
            due = new.run_at_ms
        job = ModelJob(new.id, new.queue, new.kind, new.priority.rank, self.now_ms, _accepted(new))
        self.jobs[job.id] = job
        self.queues[job.queue].known = True
        if due > self.now_ms:
            job.status, job.run_at, job.place = "scheduled", due, due
            if due <= self.now_ms + DUE_SOON_MS and self.listed(job.queue, "scheduled")[0] is job:
                self.wake(job.queue)
            self.touch(job.queue)
            self.mark(job)
        else:
            self.make_ready(job, self.next_sequence(job.queue))
        self.count(f"submitted|{self.label(job.kind)}|{job.rank}")
        self.count_in_slot(f"submitted|{job.queue}")
        return [job.status.encode(), job.place if job.status == "scheduled" else 0]

    def reserve(self, key: str, request_hash: str, job_id: str) -> list[bytes]:
        if (found := self.strings.get(f"idem:{key}")) is not None:
            word, known_hash, known = found.value.decode().split("|", 2)
            return [(word if known_hash == request_hash else "conflict").encode(), known.encode()]
        self.keep_string(f"idem:{key}", f"pending|{request_hash}|{job_id}", KEY_TTL_MS)
        return [b"new", job_id.encode()]

    def confirm(self, key: str, request_hash: str, job_id: str) -> bytes:
        found = self.strings.get(f"idem:{key}")
        if found is not None and found.value.decode() == f"pending|{request_hash}|{job_id}":
            over_ms = found.over_ms
            self.keep_string(f"idem:{key}", f"done|{request_hash}|{job_id}", KEY_TTL_MS)
            self.strings[f"idem:{key}"].over_ms = over_ms
        return b"ok"


def _accepted(new: NewJob) -> dict[bytes, bytes]:
    """The fields that a job keeps for its whole life, as far as they differ from the default."""
    values: dict[str, object] = {
        "payload": new.payload_json if new.payload_json != b"{}" else None,
        "priority": new.priority.rank if new.priority.rank != 2 else None,
        "max_retries": new.max_retries if new.max_retries != 3 else None,
        "timeout_ms": new.timeout_ms,
        "retention_ms": new.retention_ms,
        "backoff": new.backoff.to_json() if new.backoff else None,
        "tags": json.dumps(new.tags) if new.tags else None,
        "retry_of": new.retry_of,
    }
    return {name.encode(): text(value) for name, value in values.items() if value is not None}
