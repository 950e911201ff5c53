"""Small, exact steps on a machine, for tests that need a certain state: real calls, each checked as all others are."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ironforge.job import NewJob
from ironforge.queue.maintaining import OUTAGE_MS
from ironforge.queue.readings import Settlement, Turn, WorkerInfo
from ironforge.queue.turning import PROMOTED_PER_CLAIM
from tests.model.machine import Expected, Machine, Verb

LEASE_MS = 15_000
_SAID = {
    "host": "h", "pid": "1", "supervisor_pid": "1", "version": "0", "queues": "", "concurrency": "1", "kinds": "{}",
    "started_ms": "1",
}  # fmt: skip


def job_id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


class Scene:
    """Jobs are called by numbers, workers by names; a claim's token is the name of its lane's next claim."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._claims = 0

    def enqueue(self, number: int, **more: Any) -> str:
        new = NewJob("k1", id=job_id(number), **more)
        self._do(lambda: self._queue.enqueue_many([new]), lambda: self._model.enqueue([new]))
        return new.id

    def register(self, wid: str, lease_ms: int = LEASE_MS) -> None:
        info = WorkerInfo("h", 1, 1, "0", (), 1, {}, started_ms=1)
        self._do(
            lambda: self._queue.register(wid, info, lease_ms),
            lambda: self._model.register(wid, _SAID, lease_ms),
        )

    def claim(self, wid: str, slots: int = 1, *queues: str) -> str:
        """Returns the token: the fence of a job that was never claimed before is `1:<token>`."""
        self._claims += 1
        token, wanted = f"t{self._claims:06d}", queues or ("default",)
        turn = Turn(wid, 0, token, slots, wanted)
        self._do(
            lambda: self._queue.turn(turn),
            lambda: self._model.claim(wid, 0, token, slots, PROMOTED_PER_CLAIM, wanted),
        )
        return token

    def settle(self, number: int, fence: str, outcome: Any, **more: Any) -> None:
        ends = [Settlement(job_id(number), fence, outcome, **more)]
        turn = Turn("w1", 0, "", 0, (), ends)
        self._do(lambda: self._queue.turn(turn), lambda: self._model.settle(ends))

    def progress(self, number: int, fence: str) -> None:
        name = job_id(number)
        self._do(
            lambda: self._queue.progress(name, fence, "1"), lambda: self._model.progress(name, fence, "1")
        )

    def cancel(self, number: int) -> None:
        name = job_id(number)
        self._do(lambda: self._queue.cancel(name), lambda: self._model.cancel(name))

    def retry(self, number: int, *, reset: bool = True) -> None:
        name = job_id(number)
        self._do(
            lambda: self._queue.retry(name, reset_retry_count=reset), lambda: self._model.retry(name, reset)
        )

    def run_now(self, number: int) -> None:
        name = job_id(number)
        self._do(lambda: self._queue.run_now(name), lambda: self._model.run_now(name))

    def pause(self, queue: str) -> None:
        self._do(lambda: self._queue.pause(queue), lambda: self._model.switch(queue, "pause"))

    def reserve(self, key: str, number: int) -> None:
        name = job_id(number)
        self._do(lambda: self._queue.reserve(key, "h", name), lambda: self._model.reserve(key, "h", name))

    def confirm(self, key: str, number: int) -> None:
        name = job_id(number)
        self._do(lambda: self._queue.confirm(key, "h", name), lambda: self._model.confirm(key, "h", name))

    def crash(self, wid: str) -> None:
        error = '{"type": "WorkerCrashed", "message": "signal 9", "traceback": ""}'
        self._do(
            lambda: self._queue.hand_back(wid, "crashed", {"signal": 9}),
            lambda: self._model.hand_back(wid, "crashed", error),
        )

    def promote(self) -> None:
        self._do(
            lambda: self._queue.promote_due(), lambda: self._model.promote(500, self.machine.call.words(1))
        )

    def reap(self) -> None:
        self._do(
            lambda: self._queue.reap(),
            lambda: self._model.reap(LEASE_MS, OUTAGE_MS, 10, self.machine.call.word(3)),
        )

    def wait_ms(self, ms: int) -> None:
        self.machine.move_clock(ms * 1000)

    @property
    def _queue(self) -> Any:
        return self.machine.queue

    @property
    def _model(self) -> Any:
        return self.machine.model

    def _do(self, start: Callable[[], Coroutine[Any, Any, Any]], effect: Callable[[], Any]) -> None:
        def expect() -> Expected:
            yield effect()
            return None

        self.machine.do(Verb("scene", start, expect))
