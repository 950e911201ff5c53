"""Rules of workers and their supervisors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ironforge.job import NewJob
from ironforge.queue.readings import Settlement, Turn, WorkerInfo
from ironforge.queue.turning import PROMOTED_PER_CLAIM
from tests.model.choices import Choices, chance, pick
from tests.model.delivery import deliver
from tests.model.machine import Expected, Machine, Verb
from tests.model.model_working import ClaimReply
from tests.model.rules_producers import MOST_JOBS, QUEUES, new_id, remember_id

LEASES_MS = (15_000, 15_000, 15_000, 3_000, 1)
MOST_WORKERS = 4
ERROR = '{"type":"ValueError","message":"no | more","traceback":""}'
LONG_MS = 1_000_000_000  # against the server's own clock, which goes on: see machine.TTL_SLACK_MS
LOCK_TTLS_MS = (LONG_MS // 1000, LONG_MS // 100, LONG_MS // 10)


def register(machine: Machine, choices: Choices) -> None:
    model = machine.model
    if len(model.workers) >= MOST_WORKERS or (len(model.workers) >= 2 and chance(choices, 50)):
        return
    if machine.memory.wids and chance(choices, 10):
        wid = pick(choices, machine.memory.wids)
        if wid not in model.workers:
            return  # an id is never used twice
    else:
        wid = f"w{machine.number()}"
        machine.memory.wids.append(wid)
        del machine.memory.wids[:-8]
    lease_ms = pick(choices, LEASES_MS)
    info = WorkerInfo("host", 11, 10, "0", ("default",), 10, {"k1": {}}, started_ms=1)
    said = {
        "host": "host", "pid": "11", "supervisor_pid": "10", "version": "0", "queues": "default",
        "concurrency": "10", "kinds": '{"k1": {}}', "started_ms": "1",
    }  # fmt: skip

    def expect() -> Expected:
        word = model.register(wid, said, lease_ms)
        yield word
        return lambda made: made == (word == b"ok")

    machine.tell(f"register {wid} for {lease_ms} ms")
    machine.do(Verb("register", lambda: machine.queue.register(wid, info, lease_ms), expect))


def claim(machine: Machine, choices: Choices) -> None:
    deliver(machine, choices, _turn(machine, choices, slots=pick(choices, (1, 2, 3, 10)), settlements=[]))


def turn(machine: Machine, choices: Choices) -> None:
    """Settles and claims in one pipeline."""
    deliver(
        machine,
        choices,
        _turn(machine, choices, slots=pick(choices, (1, 2)), settlements=_settlements(machine, choices)),
    )


def settle(machine: Machine, choices: Choices) -> None:
    if machine.memory.given:
        deliver(
            machine, choices, _turn(machine, choices, slots=0, settlements=_settlements(machine, choices))
        )


def claim_bounded(machine: Machine, choices: Choices) -> None:
    """As turns claim, but promoting one or two at most."""
    wid, lane, token, queues = (
        any_worker(machine, choices),
        choices.below(2),
        new_token(machine, choices),
        some_queues(choices),
    )
    n, limit = pick(choices, (1, 2, 0)), pick(choices, (1, 2))

    def expect() -> Expected:
        reply = machine.model.claim(wid, lane, token, n, limit, queues)
        remember_fences(machine, reply)
        yield reply
        return None

    words = f"{wid} claims {n} of {','.join(queues)}, promoting {limit}"
    start = lambda: machine.queue.claim_bounded(wid, lane, token, n, limit, queues)  # noqa: E731
    deliver(machine, choices, Verb(words, start, expect))


def progress(machine: Machine, choices: Choices) -> None:
    if not machine.memory.given:
        return
    job_id, fence = _job_and_fence(machine, choices)

    def expect() -> Expected:
        word = machine.model.progress(job_id, fence, '{"done":1}')
        yield word
        return lambda told: told == (word == b"ok")

    words = f"progress of {job_id[-4:]} under {fence}"
    deliver(
        machine, choices, Verb(words, lambda: machine.queue.progress(job_id, fence, '{"done":1}'), expect)
    )


def renew(machine: Machine, choices: Choices) -> None:
    wids = [any_worker(machine, choices) for _ in range(1 + choices.below(3))]
    lease_ms = pick(choices, LEASES_MS)

    def expect() -> Expected:
        words = machine.model.renew(wids, lease_ms)
        yield words
        return lambda told: told == [word.decode() for word in words]

    deliver(
        machine,
        choices,
        Verb(f"renew {wids} for {lease_ms}", lambda: machine.queue.renew(*wids, lease_ms=lease_ms), expect),
    )


def beat(machine: Machine, choices: Choices) -> None:
    wid, said = any_worker(machine, choices), {"state": pick(choices, ("running", "quiet")), "done": "3"}

    def expect() -> Expected:
        reply = machine.model.beat(wid, said)
        yield reply
        orders = [order.decode() for order in reply[1]] if len(reply) > 1 else []
        return lambda told: (told.word.encode(), sorted(told.orders)) == (reply[0], orders)

    deliver(machine, choices, Verb(f"beat of {wid}", lambda: machine.queue.beat(wid, said), expect))


def deregister(machine: Machine, choices: Choices) -> None:
    wid = any_worker(machine, choices)

    def expect() -> Expected:
        word = machine.model.deregister(wid)
        yield word
        return lambda told: told == word.decode()

    deliver(machine, choices, Verb(f"deregister {wid}", lambda: machine.queue.deregister(wid), expect))


def hand_back(machine: Machine, choices: Choices) -> None:
    deliver(
        machine,
        choices,
        _hand_back(machine, any_worker(machine, choices), pick(choices, ("crashed", "ended"))),
    )


def crash_course(machine: Machine, choices: Choices) -> None:
    """A worker with jobs dies of them: the way to suspects and to `worker_lost`."""
    holders = sorted({job.worker for job in machine.model.jobs.values() if job.worker})
    if holders:
        deliver(machine, choices, _hand_back(machine, pick(choices, holders), "crashed"))


def lock(machine: Machine, choices: Choices) -> None:
    verb, name, token = pick(choices, ("acquire", "renew", "release")), "l1", pick(choices, ("h1", "h2"))
    ttl_ms = pick(choices, LOCK_TTLS_MS)

    def expect() -> Expected:
        word = machine.model.lock(verb, name, token, ttl_ms)
        yield word
        return lambda told: told == bool(word)

    def start() -> Any:
        if verb == "release":
            return machine.queue.lock_release(name, token)
        do = machine.queue.lock_acquire if verb == "acquire" else machine.queue.lock_renew
        return do(name, token, ttl_ms)

    deliver(machine, choices, Verb(f"{verb} lock as {token} for {ttl_ms}", start, expect))


def take_mark(machine: Machine, choices: Choices) -> None:
    """An idle worker that is woken. It never waits here: there is a mark."""
    queues = some_queues(choices)
    if any(machine.model.queues[queue].wake for queue in queues):
        _take_mark(machine, queues)


def _take_mark(machine: Machine, queues: tuple[str, ...]) -> None:
    def expect() -> Expected:
        queue = machine.model.take_mark(queues)
        key = machine.queue.keys.wake(queue or "").encode()
        yield [key, b"ready", 1.0]
        return lambda woken: woken == queue

    words = f"wait for {','.join(queues)}"
    machine.tell(words)
    machine.do(Verb(words, lambda: machine.queue.wait_for_wake(queues, 1.0), expect))


def due_soon(machine: Machine, choices: Choices) -> None:
    """Two jobs that are due soon, and a worker that takes the mark of the first before the second comes."""
    if len(machine.model.jobs) >= MOST_JOBS:
        return
    queue = pick(choices, QUEUES)
    for _ in range(2):
        if machine.model.queues[queue].wake:
            _take_mark(machine, (queue,))
        new = NewJob(
            "k1", id=new_id(machine), queue=queue, delay_ms=pick(choices, (4_000, 1_000, 5_000, 5_001))
        )
        remember_id(machine, new.id)

        def expect(new: NewJob = new) -> Expected:
            yield machine.model.enqueue([new])
            return None

        machine.tell(f"enqueue {new.id[-4:]} in {queue}, due in {new.delay_ms} ms")
        machine.do(Verb("enqueue", lambda new=new: machine.queue.enqueue_many([replace(new)]), expect))


def _turn(machine: Machine, choices: Choices, slots: int, settlements: list[Settlement]) -> Verb:
    turn = Turn(
        any_worker(machine, choices),
        choices.below(2),
        new_token(machine, choices),
        slots,
        some_queues(choices),
        settlements,
    )

    def expect() -> Expected:
        words: list[bytes] = []
        reply: Any = None
        # On a server that forgot settle.lua alone, the claim comes first.
        for _ in range(bool(settlements) + bool(slots)):
            if machine.call.name == "settle":
                words = machine.model.settle(settlements)
                yield words
            else:
                reply = machine.model.claim(
                    turn.wid, turn.lane, turn.token, slots, PROMOTED_PER_CLAIM, turn.queues
                )
                remember_fences(machine, reply)
                yield reply
        return lambda told: _turned(told, _in_their_order(settlements, words), reply)

    settled = ", ".join(f"{one.outcome} {one.job_id[-4:]} under {one.fence}" for one in settlements)
    claimed = (
        f"{turn.wid} lane {turn.lane} claims {slots} of {','.join(turn.queues)} as {turn.token}"
        if slots
        else ""
    )
    return Verb("; ".join(filter(None, (settled, claimed))), lambda: machine.queue.turn(turn), expect)


def _in_their_order(settlements: list[Settlement], words: list[bytes]) -> list[bytes]:
    """The script is sent those that completed first, and answers so; the caller hears in his own order."""
    order = sorted(range(len(settlements)), key=lambda at: settlements[at].outcome != "completed")
    told = dict(zip(order, words, strict=True))
    return [told[at] for at in range(len(settlements))]


def _turned(told: Any, words: list[bytes], reply: Any) -> bool:
    if told.settled != [word.decode() for word in words]:
        return False
    if not isinstance(reply, ClaimReply):
        return bool(reply is None or told.word == "gone")
    jobs = [(job.id.encode(), job.fence.encode(), job.started_ms, job.status.value) for job in told.jobs]
    wanted = [(*job[:3], "running") for job in reply.jobs]
    due = None if reply.due_ms < 0 else reply.due_ms
    return (sorted(jobs) == sorted(wanted) if reply.again else jobs == wanted) and told.next_due_ms == due


def _settlements(machine: Machine, choices: Choices) -> list[Settlement]:
    found: list[Settlement] = []
    for _ in range(1 + pick(choices, (0, 0, 1, 2, 3)) if machine.memory.given else 0):
        job_id, fence = _job_and_fence(machine, choices)
        outcome = pick(choices, ("completed", "completed", "retry", "dead", "cancelled", "released", "retry"))
        failed = outcome in ("retry", "dead")
        found.append(
            Settlement(
                job_id,
                fence,
                outcome,
                result_json=pick(choices, (b'{"ok":true}', None)) if outcome == "completed" else None,
                error_json=ERROR
                if failed
                else pick(choices, (None, ERROR))
                if outcome != "completed"
                else None,
                delay_ms=pick(choices, (2_000, 1, 5_001, 0))
                if outcome == "retry"
                else pick(choices, (0, 1_000)),
                fingerprint=pick(choices, ("f1", "f2")) if failed else None,
                reason=pick(choices, (None, "timeout")) if failed else None,
            )
        )
    return found


def _job_and_fence(machine: Machine, choices: Choices) -> tuple[str, str]:
    """Mostly of a run that goes on, else of any claim that ever was."""
    running = [(job.id, job.fence or "") for job in machine.model.jobs.values() if job.status == "running"]
    way = choices.below(100)
    if running and way < 70:
        return pick(choices, running)
    if (
        running and way < 76
    ):  # the same delivery of another claim: what a Redis that lost its last writes hands out twice
        job_id, fence = pick(choices, running)
        return job_id, f"{fence.partition(':')[0]}:t000000"
    running_ids = {job_id for job_id, _ in running}
    stale = [one for one in machine.memory.given if one[0] in running_ids and one not in running]
    if stale and way < 90:
        return pick(choices, stale)
    return pick(choices, machine.memory.given)


def _hand_back(machine: Machine, wid: str, cause: str) -> Verb:
    evidence = '{"type": "%s", "message": "signal 9", "traceback": ""}'
    told = evidence % {"crashed": "WorkerCrashed", "ended": "WorkerEnded"}[cause]

    def expect() -> Expected:
        count = machine.model.hand_back(wid, cause, told)
        yield count
        return lambda handed: handed == count

    return Verb(f"{wid} {cause}", lambda: machine.queue.hand_back(wid, cause, {"signal": 9}), expect)  # type: ignore[arg-type]


def any_worker(machine: Machine, choices: Choices) -> str:
    """Mostly one that is registered; now and then one that is gone, or never was."""
    registered = list(machine.model.workers)
    if registered and not chance(choices, 6):
        return pick(choices, registered)
    return pick(choices, machine.memory.wids or ["w0"])


def some_queues(choices: Choices) -> tuple[str, ...]:
    first = choices.below(len(QUEUES))
    turned = QUEUES[first:] + QUEUES[:first]
    return turned[: pick(choices, (1, 3, 2))]


def new_token(machine: Machine, choices: Choices) -> str:
    """With the number of the turn before it, as workers make them; or without, as before there were such."""
    number = machine.number()
    return f"t{number:06d}" if chance(choices, 15) else f"{number:x}.t{number:06d}"


def remember_fences(machine: Machine, reply: Any) -> None:
    if isinstance(reply, ClaimReply):
        machine.memory.given += [(job[0].decode(), job[1].decode()) for job in reply.jobs]
        del machine.memory.given[:-30]
