"""The model's operators: what a script call answers, and what it changes. One method a script."""

from __future__ import annotations

from ironforge.queue.readings import NEVER, Once
from tests.model.books import DAY_MS
from tests.model.ready import Ready

KEY_TTL_MS = DAY_MS


class Operating(Ready):
    def _answered(self, once: Once) -> bytes | None:
        if not once.key or (found := self.strings.get(f"idem:{once.key}")) is None:
            return None
        _, known_hash, word = found.value.decode().split("|", 2)
        return word.encode() if known_hash == once.request_hash else b"key_conflict"

    def _remembered(self, once: Once, word: str) -> bytes:
        if once.key:
            self.keep_string(f"idem:{once.key}", f"done|{once.request_hash}|{word}", KEY_TTL_MS)
        self.end_call()
        return word.encode()

    def cancel(self, job_id: str, once: Once = NEVER) -> bytes:
        if before := self._answered(once):
            return before
        job = self.jobs.get(job_id)
        if job is None:
            return b"missing"
        if job.status in ("completed", "dead", "cancelled"):
            return job.status.encode()
        self.mark(job)
        self.touch(job.queue)
        if job.status == "running":
            job.cancel_requested = True
            return self._remembered(once, "requested")
        job.status, job.finished_at, job.place = "cancelled", self.now_ms, self.now_ms + job.kept_ms
        return self._remembered(once, "done")

    def delete(self, job_id: str, once: Once = NEVER) -> bytes:
        if before := self._answered(once):
            return before
        job = self.jobs.get(job_id)
        if job is None:
            return b"missing"
        if job.status == "running":
            return b"running"
        self.forget(job)
        return self._remembered(once, "deleted")

    def retry(self, job_id: str, reset: bool, once: Once = NEVER) -> bytes:
        if before := self._answered(once):
            return before
        job = self.jobs.get(job_id)
        if job is None:
            return b"missing"
        if job.status not in ("dead", "cancelled"):
            return job.status.encode()
        self.mark(job)
        if reset:
            job.retry_count = job.crashes = job.lapses = 0
        job.finished_at = job.reason = job.fingerprint = job.run_at = job.progress = job.started_at = None
        job.generation += 1
        self.make_ready(job, self.next_sequence(job.queue))
        return self._remembered(once, "done")

    def run_now(self, job_id: str, once: Once = NEVER) -> bytes:
        if before := self._answered(once):
            return before
        job = self.jobs.get(job_id)
        if job is None:
            return b"missing"
        if job.status not in ("scheduled", "retrying"):
            return job.status.encode()
        job.run_at = self.now_ms
        self.make_ready(job, self.next_sequence(job.queue))
        return self._remembered(once, "done")

    def switch(self, queue: str, verb: str, once: Once = NEVER) -> bytes:
        if before := self._answered(once):
            return before
        if not self.queues[queue].known:
            if queue != "default":
                return b"missing"
            self.queues[queue].known = True
        state = self.queues[queue]
        if verb == "pause":
            state.paused_ms = self.now_ms if state.paused_ms is None else state.paused_ms
        else:
            state.paused_ms = None
            if self.listed(queue, "queued") or self.listed(queue, "suspects"):
                self.wake(queue)
        self.mark_queue(queue)
        self.touch(queue)
        return self._remembered(once, "done")
