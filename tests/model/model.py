"""The model of every transition: what a script call answers, and what it changes. One method a script.

Answers are what the script replies, with ints and bytes as a client sees them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ironforge.job import NewJob
from ironforge.queue.readings import NEVER, Once, Settlement
from tests.model.books import BAND, DAY_MS, EPOCH_US, ModelJob, ModelWorker, bucket, text
from tests.model.ready import MAX_CRASHES, MAX_LAPSES, Ready

DUE_SOON_MS = 5_000
KEY_TTL_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class ClaimReply:
    """A claim's answer, whose orders and fields come in no order; nor do its jobs when it is sent again."""

    orders: frozenset[bytes]
    due_ms: int
    jobs: list[tuple[bytes, bytes, int, dict[bytes, bytes]]]
    again: bool

    def agrees(self, reply: Any) -> bool:
        if not isinstance(reply, list) or len(reply) != 4 or reply[0] != b"ok":
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


class Model(Ready):
    # --- producers ---

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
            if due <= self.now_ms + DUE_SOON_MS and self.due_first(job.queue, "scheduled")[0] is job:
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

    # --- workers and their supervisors ---

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
        taken = self._take(wid, token, n, queues)
        if taken:
            worker.lanes[lane] = token
            self.mark_worker(wid)
        self.end_call()
        return ClaimReply(orders, due_ms, taken, False)

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

    def _take(self, wid: str, token: str, n: int, queues: Sequence[str]) -> list[Any]:
        held = [job for job in self.jobs.values() if job.worker == wid]
        if any(job.crashes >= 2 for job in held):  # it runs a suspect, alone
            return []
        if n > 0:
            for queue in queues:
                held_back, suspect = self._take_suspect(wid, queue, empty=not held)
                if held_back:
                    return [self._start(suspect, wid, token)] if suspect else []
        taken: list[Any] = []
        for queue in queues:
            ready = self._ready(queue, "queued")
            if self.queues[queue].paused_ms is None:
                taken += [self._start(job, wid, token) for job in ready[: n - len(taken)]]
            if len(taken) == n and self._ready(queue, "queued"):
                self.wake(queue)  # for another idle worker
            elif not self._ready(queue, "suspects"):
                self.wake(queue, False)  # what was promoted here was taken here
        return taken

    def _take_suspect(self, wid: str, queue: str, *, empty: bool) -> tuple[bool, ModelJob | None]:
        """Whether this worker claims nothing else now, and the suspect it may take."""
        state = self.queues[queue]
        suspects = self._ready(queue, "suspects")
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

    def _ready(self, queue: str, index: str) -> list[ModelJob]:
        found = [job for job in self.jobs.values() if job.queue == queue and job.index == index]
        return sorted(found, key=lambda job: (job.place, job.id))

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
        handed = self._take_back(wid, cause, evidence)
        self.end_call()
        return handed

    def _take_back(self, wid: str, cause: str, evidence: str) -> int:
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

    # --- operators ---

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
        self._forget(job)
        return self._remembered(once, "deleted")

    def _forget(self, job: ModelJob) -> None:
        self.mark(job)
        self.count("removed")
        self.touch(job.queue)
        del self.jobs[job.id]

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
            if self._ready(queue, "queued") or self._ready(queue, "suspects"):
                self.wake(queue)
        self.mark_queue(queue)
        self.touch(queue)
        return self._remembered(once, "done")

    # --- maintenance ---

    def promote(self, limit: int, queues: Sequence[str]) -> int:
        moved = sum(self.promote_queue(queue, limit) for queue in queues)
        self.end_call()
        return moved

    def reap(self, lease_ms: int, outage_ms: int, limit: int, evidence: str) -> list[bytes]:
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
        self.meta = {b"reap_tick": b"%d" % self.now_ms, b"reap_after": b"%d" % after}
        self.keys[b"meta"] = self.meta
        if self.now_ms < after:
            return []
        lapsed = [
            (worker.expiry_ms, wid) for wid, worker in self.workers.items() if worker.expiry_ms <= self.now_ms
        ]
        reaped = [wid for _, wid in sorted(lapsed)[:limit]]
        for wid in reaped:
            self._take_back(wid, "lapsed", evidence)
        self.end_call()
        return [wid.encode() for wid in reaped]

    def trim(self, keep: int, limit: int, queues: Sequence[str]) -> int:
        gone = 0
        for queue in queues:
            over = [
                job
                for status in ("completed", "cancelled")
                for job in self.due_first(queue, status)
                if job.place <= self.now_ms
            ]
            gone += self._forget_all(over[: limit - gone])
            completed = self.due_first(queue, "completed")
            gone += self._forget_all(completed[: max(0, min(len(completed) - keep, limit - gone))])
        self.end_call()
        return gone

    def _forget_all(self, jobs: Sequence[ModelJob]) -> int:
        for job in jobs:
            self._forget(job)
        return len(jobs)

    def take_tick(self, duty: str, every_ms: int) -> int:
        taken = self.strings.get(f"tick:{duty}")
        if taken is not None and taken.ttl_ms <= every_ms:  # else it was taken before the clock ran back
            return 0
        self.keep_string(f"tick:{duty}", "1", every_ms)
        return 1

    def take_mark(self, queues: Sequence[str]) -> str | None:
        """The first of the queues that has a wake mark, which is gone then."""
        for queue in queues:
            if self.queues[queue].wake:
                self.queues[queue].wake = False
                self.mark_queue(queue)
                return queue
        return None

    def give_back_mark(self, queue: str) -> int:
        new = not self.queues[queue].wake
        self.queues[queue].wake = True
        self.mark_queue(queue)
        return int(new)

    # --- time ---

    def move_clock(self, us: int) -> list[str]:
        """Returns the names of the keys that are over now: the server's own clock did not move with this one."""
        self.now_us += us
        over = [name for name, ending in self.strings.items() if ending.over_ms <= self.now_ms]
        for name in over:
            self.drop_string(name)
        for slot in [slot for slot, ending in self.slots.items() if ending.over_ms <= self.now_ms]:
            over.append(f"stats:{slot}")
            del self.slots[slot]
            self.keys.pop(b"stats:%d" % slot, None)
        return over


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
