"""The model's workers and supervisors: what a script call answers, and what it changes. One method a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ironforge.queue.readings import Settlement
from tests.model.books import BAND, EPOCH_US, ModelJob, ModelWorker, bucket
from tests.model.ready import Ready


@dataclass(frozen=True, slots=True)
class ClaimReply:
    """A claim's answer, whose orders and fields come in no order; nor do its jobs when it is sent again."""

    orders: frozenset[bytes]
    due_ms: int
    jobs: list[tuple[bytes, bytes, int, dict[bytes, bytes]]]
    again: bool
    word: bytes = b"ok"

    def agrees(self, reply: Any) -> bool:
        if not isinstance(reply, list) or len(reply) != 4 or reply[0] != self.word:
            return False
        flat = reply[3]
        jobs = [
            (
                flat[at],
                flat[at + 1],
                flat[at + 2],
                dict(zip(flat[at + 3][::2], flat[at + 3][1::2], strict=True)),
            )
            for at in range(0, len(flat), 4)
        ]
        if self.again:
            jobs.sort(key=lambda job: job[0])
        return frozenset(reply[1]) == self.orders and reply[2] == self.due_ms and jobs == self.jobs


class Working(Ready):
    def register(self, wid: str, said: dict[str, str], lease_ms: int) -> bytes:
        if wid in self.workers:
            return b"exists"
        fields = {name.encode(): value.encode() for name, value in said.items()}
        self.workers[wid] = ModelWorker(
            self.now_ms + lease_ms, {b"registered_at": b"%d" % self.now_ms, **fields}
        )
        self.mark_worker(wid)
        return b"ok"

    def renew(self, wids: Sequence[str], lease_ms: int) -> list[bytes]:
        words: list[bytes] = []
        for wid in wids:
            if worker := self.workers.get(wid):
                worker.expiry_ms = self.now_ms + lease_ms
                self.mark_worker(wid)
            words.append(b"ok" if worker else b"gone")
        return words

    def beat(self, wid: str, said: dict[str, str]) -> list[Any]:
        worker = self.workers.get(wid)
        if worker is None:
            return [b"gone"]
        worker.said.update({name.encode(): value.encode() for name, value in said.items()})
        worker.said[b"beat_at"] = b"%d" % self.now_ms
        self.mark_worker(wid)
        return [b"ok", sorted(self._orders(wid))]

    def deregister(self, wid: str) -> bytes:
        if wid not in self.workers:
            return b"gone"
        if any(job.worker == wid for job in self.jobs.values()):
            return b"busy"
        del self.workers[wid]
        self.mark_worker(wid)
        return b"ok"

    def claim(self, wid: str, lane: int, token: str, n: int, limit: int, queues: Sequence[str]) -> Any:
        worker = self.workers.get(wid)
        if worker is None:
            return [b"gone"]
        orders = frozenset(self._orders(wid))
        number, dot, _ = token.partition(".")
        if dot:
            turn = int(number, 16)
            if turn < worker.turns.get(lane, turn):
                # It comes after a later one: nothing new, for perhaps nobody waits for it.
                return ClaimReply(orders, -1, self._given_again(wid, token), True, b"late")
            worker.turns[lane] = turn
            self.mark_worker(wid)
        if worker.lanes.get(lane) == token:
            return ClaimReply(orders, 0, self._given_again(wid, token), True)
        for queue in queues:
            self.promote_queue(queue, limit)
        dues = [
            job.place
            for job in self.jobs.values()
            if job.queue in queues and job.status in ("scheduled", "retrying")
        ]
        due_ms = max(0, min(dues) - self.now_ms) if dues else -1
        taken, is_held = self._take(wid, token, n, queues)
        if taken:
            worker.lanes[lane] = token
            self.mark_worker(wid)
        self.end_call()
        return ClaimReply(orders | {b"hold"} if is_held else orders, due_ms, taken, False)

    def _given_again(self, wid: str, token: str) -> list[tuple[bytes, bytes, int, dict[bytes, bytes]]]:
        held = [
            job
            for job in self.jobs.values()
            if job.worker == wid and job.fence and job.fence.split(":")[1] == token
        ]
        return [
            (job.id.encode(), (job.fence or "").encode(), self.now_ms, job.fields())
            for job in sorted(held, key=lambda job: job.id)
        ]

    def _take(self, wid: str, token: str, n: int, queues: Sequence[str]) -> tuple[list[Any], bool]:
        """What it got, and whether it is held back."""
        held = [job for job in self.jobs.values() if job.worker == wid]
        taken: list[Any] = []
        is_held = any(job.crashes >= 2 for job in held)  # it runs a suspect, alone
        if n > 0 and not is_held:
            for queue in queues:
                is_held, suspect = self._take_suspect(wid, queue, empty=not held)
                if is_held:
                    taken = [self._start(suspect, wid, token)] if suspect else []
                    break
        if is_held:
            for queue in queues:
                if self.listed(queue, "queued") or self.listed(queue, "suspects"):
                    self.wake(queue)  # for another worker
            return taken, True
        for queue in queues:
            if len(taken) == n:
                break  # who took a mark of the others sets it again: see claim_on_wake
            ready = self.listed(queue, "queued")
            if not ready:
                continue
            if self.queues[queue].paused_ms is None:
                taken += [self._start(job, wid, token) for job in ready[: n - len(taken)]]
            if len(taken) == n and self.listed(queue, "queued"):
                self.wake(queue)  # for another idle worker
            elif not self.listed(queue, "suspects"):
                self.wake(queue, False)  # what was promoted here was taken here
        return taken, False

    def _take_suspect(self, wid: str, queue: str, *, empty: bool) -> tuple[bool, ModelJob | None]:
        """Whether this worker claims nothing else now, and the suspect it may take."""
        state = self.queues[queue]
        suspects = self.listed(queue, "suspects")
        if state.paused_ms is not None or not suspects:
            return False, None
        if state.suspect_worker not in self.workers:
            state.suspect_worker = wid
            self.mark_queue(queue)
        if state.suspect_worker != wid:
            return False, None
        if not empty:
            return True, None
        state.suspect_worker = None
        return True, suspects[0]

    def _start(self, job: ModelJob, wid: str, token: str) -> tuple[bytes, bytes, int, dict[bytes, bytes]]:
        before = job.fields()
        job.sequence = job.place % BAND
        job.status, job.worker, job.place, job.started_at = "running", wid, self.now_ms, self.now_ms
        job.fence, job.progress = f"{job.deliveries + 1}:{token}", None
        self.mark(job)
        waited_ms = (self.now_us - EPOCH_US - job.sequence) // 1000
        self.observe(f"wait|{self.label(job.kind)}", waited_ms)
        self.count_in_slot(f"wait|{bucket(waited_ms)}")
        self.touch(job.queue)
        return job.id.encode(), job.fence.encode(), self.now_ms, before

    def _orders(self, wid: str) -> list[bytes]:
        return [
            b"cancel:" + job.id.encode()
            for job in self.jobs.values()
            if job.worker == wid and job.cancel_requested
        ]

    def settle(self, settlements: Sequence[Settlement]) -> list[bytes]:
        # Those that completed come first in a call, and so do their words.
        ordered = sorted(settlements, key=lambda one: one.outcome != "completed")
        words = [self._settle_one(one) for one in ordered]
        for word in words:
            if word == b"refused":
                self.count("refused")
        self.end_call()
        return words

    def _settle_one(self, one: Settlement) -> bytes:
        job = self.jobs.get(one.job_id)
        if job is None or job.status != "running" or job.fence != one.fence:
            return b"already" if job is not None and job.settled == one.fence else b"refused"
        error = one.error_json or ""
        if one.outcome == "completed":
            self.to_completed(job, one.result_json or b"")
        elif one.outcome == "cancelled" or job.cancel_requested:
            self.to_cancelled(job, "cancelled", error, settled=True)
        elif one.outcome == "released" and one.delay_ms > 0:
            self.to_retrying(job, "released", error, one.delay_ms, charged=False)
        elif one.outcome == "released":
            self.back_to_queue(job, "released", error, settled=True)
        elif one.outcome == "retry" and job.retry_count < job.max_retries:
            self.to_retrying(job, "failed", error, one.delay_ms, charged=True)
        else:
            self.to_dead(job, "failed", error, one.fingerprint or "unknown", one.reason or "", settled=True)
        return b"ok"

    def progress(self, job_id: str, fence: str, progress_json: str) -> bytes:
        job = self.jobs.get(job_id)
        if job is None or job.status != "running" or job.fence != fence:
            return b"refused"
        job.progress = progress_json.encode()
        self.mark(job)
        return b"ok"

    def lock(self, verb: str, name: str, token: str, ttl_ms: int) -> int:
        held = self.strings.get(f"lock:{name}")
        mine = held is not None and held.value == token.encode()
        if not (mine or (verb == "acquire" and held is None)):
            return 0
        if verb == "release":
            self.drop_string(f"lock:{name}")
        else:
            self.keep_string(f"lock:{name}", token, ttl_ms)
        return 1

    def hand_back(self, wid: str, cause: str, evidence: str) -> int:
        if wid not in self.workers:
            return -1
        handed = self.take_back(wid, cause, evidence)
        self.end_call()
        return handed

    def take_mark(self, queues: Sequence[str]) -> str | None:
        """The first of the queues that has a wake mark, which is gone then."""
        for queue in queues:
            if self.queues[queue].wake:
                self.queues[queue].wake = False
                self.mark_queue(queue)
                return queue
        return None
