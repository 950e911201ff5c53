"""The model's maintenance: what a script call answers, and what it changes. One method a script."""

from __future__ import annotations

from collections.abc import Sequence

from tests.model.books import ModelJob
from tests.model.ready import Ready


class Maintaining(Ready):
    def promote(self, limit: int, queues: Sequence[str]) -> int:
        moved = sum(self.promote_queue(queue, limit) for queue in queues)
        self.end_call()
        return moved

    def survey(self, lease_ms: int, outage_ms: int, keep: int, every_ms: int) -> list[bytes]:
        last = int(self.meta.get(b"survey", 0))
        if 0 <= self.now_ms - last < every_ms:
            return []
        self.meta[b"survey"] = b"%d" % self.now_ms
        lapsed = any(worker.expiry_ms <= self.now_ms for worker in self.workers.values())
        reaps = self.now_ms >= self._look_after_leases(lease_ms, outage_ms) and lapsed
        known = [name for name, queue in self.queues.items() if queue.known]
        promotes = any(
            self._is_over(queue, status) for queue in known for status in ("scheduled", "retrying")
        )
        trims = any(
            self._is_over(queue, "completed")
            or self._is_over(queue, "cancelled")
            or len(self.listed(queue, "completed")) > keep
            for queue in known
        )
        return [
            word for word, applies in ((b"reap", reaps), (b"promote", promotes), (b"trim", trims)) if applies
        ]

    def _is_over(self, queue: str, status: str) -> bool:
        return any(job.place <= self.now_ms for job in self.listed(queue, status))

    def _look_after_leases(self, lease_ms: int, outage_ms: int) -> int:
        """From when on workers may be reaped."""
        last, after = self.meta.get(b"reap_tick"), int(self.meta.get(b"reap_after", 0))
        if last is None or not 0 <= self.now_ms - int(last) <= outage_ms:
            after = self.now_ms + lease_ms
        if last is not None and self.now_ms < int(
            last
        ):  # a lease given before the clock ran back would be too long
            for wid, worker in self.workers.items():
                if worker.expiry_ms > after:
                    worker.expiry_ms = after
                    self.mark_worker(wid)
        self.meta.update({b"reap_tick": b"%d" % self.now_ms, b"reap_after": b"%d" % after})
        self.keys[b"meta"] = self.meta
        return after

    def reap(self, lease_ms: int, outage_ms: int, limit: int, evidence: str) -> list[bytes]:
        if self.now_ms < self._look_after_leases(lease_ms, outage_ms):
            return []
        lapsed = [
            (worker.expiry_ms, wid) for wid, worker in self.workers.items() if worker.expiry_ms <= self.now_ms
        ]
        reaped = [wid for _, wid in sorted(lapsed)[:limit]]
        for wid in reaped:
            self.take_back(wid, "lapsed", evidence)
        self.end_call()
        return [wid.encode() for wid in reaped]

    def trim(self, keep: int, limit: int, queues: Sequence[str]) -> int:
        gone = 0
        for queue in queues:
            over = [
                job
                for status in ("completed", "cancelled")
                for job in self.listed(queue, status)
                if job.place <= self.now_ms
            ]
            gone += self._forget_all(over[: limit - gone])
            completed = self.listed(queue, "completed")
            gone += self._forget_all(completed[: max(0, min(len(completed) - keep, limit - gone))])
        self.end_call()
        return gone

    def _forget_all(self, jobs: Sequence[ModelJob]) -> int:
        for job in jobs:
            self.forget(job)
        return len(jobs)

    def take_tick(self, duty: str, every_ms: int) -> int:
        taken = self.strings.get(f"tick:{duty}")
        if taken is not None and taken.ttl_ms <= every_ms:  # else it was taken before the clock ran back
            return 0
        self.keep_string(f"tick:{duty}", "1", every_ms)
        return 1
