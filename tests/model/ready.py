"""The model's ways of a job into readiness and out of a run, whoever causes them."""

from __future__ import annotations

import hashlib

from tests.model.books import ATTEMPTS_KEPT, BAND, Books, ModelJob

MAX_CRASHES = 3
MAX_LAPSES = 20


class Ready(Books):
    def make_ready(self, job: ModelJob, sequence: int) -> None:
        """The job waits in its queue, at its place among those of its priority."""
        job.status = "queued"
        job.place = job.rank * BAND + sequence
        self.wake(job.queue)
        self.touch(job.queue)
        self.mark(job)

    def promote_queue(self, queue: str, limit: int) -> int:
        """What is due becomes ready in the order of due times, at most `limit` of each status."""
        moved = 0
        for status in ("scheduled", "retrying"):
            due = self.listed(queue, status)
            for job in [job for job in due if job.place <= self.now_ms][:limit]:
                self.make_ready(job, self.next_sequence(queue, job.place * 1000))
                moved += 1
        return moved

    def listed(self, queue: str, index: str) -> list[ModelJob]:
        """The jobs of an index, in its order."""
        found = [job for job in self.jobs.values() if job.queue == queue and job.index == index]
        return sorted(found, key=lambda job: (job.place, job.id))

    # --- ends of a run ---

    def end_run(self, job: ModelJob, outcome: str, error: str, *, settled: bool) -> None:
        """The attempt is written down and the job has no holder any more. The caller says where it goes."""
        self.mark(job)
        started = job.started_at or 0
        attempt = f"{started} {self.now_ms} {job.worker or '-'} {outcome}"
        if error:
            attempt += f" {error}"
            job.last_error = error.encode()
        job.attempts = [*job.attempts, attempt.encode()][-ATTEMPTS_KEPT:]
        job.attempt_count += 1
        if settled:
            job.settled = job.fence
        job.worker = None
        job.cancel_requested = False
        self.observe(f"duration|{self.label(job.kind)}|{outcome}", self.now_ms - started)
        if outcome == "failed":
            self.count(f"failed|{self.label(job.kind)}")
            self.count_in_slot(f"failed|{job.queue}")
        self.touch(job.queue)

    def to_completed(self, job: ModelJob, result: bytes) -> None:
        self.end_run(job, "completed", "", settled=True)
        job.status, job.finished_at, job.place = "completed", self.now_ms, self.now_ms + job.kept_ms
        job.result = result or job.result
        self.count(f"completed|{self.label(job.kind)}")
        self.count_in_slot(f"completed|{job.queue}")

    def to_cancelled(self, job: ModelJob, outcome: str, error: str, *, settled: bool) -> None:
        self.end_run(job, outcome, error, settled=settled)
        job.status, job.finished_at, job.place = "cancelled", self.now_ms, self.now_ms + job.kept_ms

    def to_dead(
        self, job: ModelJob, outcome: str, error: str, fingerprint: str, reason: str, *, settled: bool
    ) -> None:
        self.end_run(job, outcome, error, settled=settled)
        job.status, job.finished_at, job.place = "dead", self.now_ms, self.now_ms
        job.fingerprint, job.reason = fingerprint, reason or None
        self.count(f"dlq|{self.label(job.kind)}")
        self.count_in_slot(f"dead|{job.queue}")
        self.mark(job)

    def to_retrying(self, job: ModelJob, outcome: str, error: str, delay_ms: int, *, charged: bool) -> None:
        self.end_run(job, outcome, error, settled=True)
        job.status, job.run_at = "retrying", self.now_ms + delay_ms
        job.place = job.run_at
        if charged:
            job.retry_count += 1
            spent = str(job.retry_count) if job.retry_count <= 10 else "10+"
            self.count(f"retried|{self.label(job.kind)}|{spent}")
        self.wake(job.queue)

    def back_to_queue(self, job: ModelJob, outcome: str, error: str, *, settled: bool) -> None:
        """With the sequence it had: a run that was broken off costs no place."""
        self.end_run(job, outcome, error, settled=settled)
        assert job.sequence is not None
        self.make_ready(job, job.sequence)

    # --- a worker that is gone ---

    def take_back(self, wid: str, cause: str, evidence: str) -> int:
        held = [job for job in self.jobs.values() if job.worker == wid]
        for job in held:
            self._take_job_back(job, cause, evidence)
        del self.workers[wid]
        self.mark_worker(wid)
        self.count(f"workers_{cause}")
        return len(held)

    def _take_job_back(self, job: ModelJob, cause: str, evidence: str) -> None:
        outcome = {"crashed": "crashed", "lapsed": "lapsed", "ended": "released"}[cause]
        job.crashes += cause == "crashed"
        job.lapses += cause == "lapsed"
        if job.cancel_requested:
            self.to_cancelled(job, outcome, evidence, settled=False)
        elif job.crashes >= MAX_CRASHES or job.lapses > MAX_LAPSES:
            fingerprint = hashlib.sha1(f"worker_lost|{job.kind}".encode(), usedforsecurity=False).hexdigest()[
                :12
            ]
            self.to_dead(job, outcome, evidence, fingerprint, "worker_lost", settled=False)
        else:
            self.back_to_queue(job, outcome, evidence, settled=False)

    # --- what the others stand on ---

    def forget(self, job: ModelJob) -> None:
        self.mark(job)
        self.count("removed")
        self.touch(job.queue)
        del self.jobs[job.id]
