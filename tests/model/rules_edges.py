"""Rules for the two ends of an episode: a server that knows many kinds already, and one that is drained to nothing."""

from __future__ import annotations

from ironforge.queue.readings import Settlement, Turn
from tests.model.books import MAX_KINDS
from tests.model.choices import Choices, pick
from tests.model.machine import Expected, Failure, Machine, Verb
from tests.model.mirror import CLOCK, PREFIX

# What stays when everything was removed and every end was reached: names and counters, bounded by how many queues there are.
_BASE = (b"queues", b"kinds", b"stats", b"meta")


def crowd(machine: Machine, choices: Choices) -> None:
    """All but one of the kinds that get a label of their own are taken."""
    kinds = [f"other{at}" for at in range(MAX_KINDS - pick(choices, (1, 0, 2)))]
    machine.wire.command("SADD", PREFIX + b"kinds", *kinds)
    machine.mirror.refresh()
    machine.model.kinds.update(kinds)
    machine.model.keys[b"kinds"] = frozenset(kind.encode() for kind in machine.model.kinds)
    machine.tell(f"{len(kinds)} kinds are known already")


def drain(machine: Machine, choices: Choices) -> None:
    """Everything that runs ends, every job is removed, every worker leaves, a day passes: nothing may be left."""
    model, queue = machine.model, machine.queue
    for client in machine.waiting:
        client.running.close()
    machine.waiting.clear()
    machine.tell("drain")
    running = [(job.id, job.fence or "") for job in model.jobs.values() if job.status == "running"]
    if running:
        ends = [Settlement(job_id, fence, "completed") for job_id, fence in running]
        _do(machine, lambda: queue.turn(Turn("w0", 0, "t000000", 0, (), ends)), lambda: model.settle(ends))
    for wid in list(model.workers):
        _do(machine, lambda wid=wid: queue.deregister(wid), lambda wid=wid: model.deregister(wid))
    for job_id in list(model.jobs):
        _do(machine, lambda job_id=job_id: queue.delete(job_id), lambda job_id=job_id: model.delete(job_id))
    machine.move_clock(400 * 86_400_000_000)
    left = {name for name in machine.mirror.keys if name not in _BASE}
    left -= {b"q:%s:%s" % (name.encode(), part) for name in model.queues for part in (b"settings", b"wake")}
    if left:
        raise Failure(f"drained, and there still is {sorted(left)}", (21,))
    size = machine.wire.command("DBSIZE") - machine.wire.command("EXISTS", CLOCK)
    if size != len(machine.mirror.keys):
        raise Failure(f"drained, and the server holds {size} keys", (21,))


def verify(machine: Machine, choices: Choices) -> None:
    """Nothing was changed that the server did not tell of."""
    machine.verify_mirror()


def _do(machine: Machine, start: object, effect: object) -> None:
    def expect() -> Expected:
        yield effect()  # type: ignore[operator]
        return None

    machine.do(Verb("drain", start, expect))  # type: ignore[arg-type]
