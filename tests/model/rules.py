"""The rules: everything that producers, workers, supervisors, operators, maintenance and time may do next."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.model import rules_edges as edges
from tests.model import rules_maintenance as maintenance
from tests.model import rules_operators as operators
from tests.model import rules_producers as producers
from tests.model import rules_reading as reading
from tests.model import rules_time as time
from tests.model import rules_workers as workers
from tests.model.choices import Choices
from tests.model.machine import Machine


class Rule(NamedTuple):
    """One thing that may happen next.

    Attributes:
        weight: how often, beside the others.
        apply: does it on the scripts and the model.
    """

    name: str
    weight: int
    apply: Callable[[Machine, Choices], None]


RULES = (
    Rule("enqueue", 9, producers.enqueue),
    Rule("submit", 4, producers.submit),
    Rule("reserve_or_confirm", 1, producers.reserve_or_confirm),
    Rule("grow_old", 4, producers.grow_old),
    Rule("register", 12, workers.register),
    Rule("claim", 20, workers.claim),
    Rule("claim_bounded", 4, workers.claim_bounded),
    Rule("settle", 20, workers.settle),
    Rule("turn", 6, workers.turn),
    Rule("progress", 3, workers.progress),
    Rule("renew", 3, workers.renew),
    Rule("beat", 2, workers.beat),
    Rule("deregister", 1, workers.deregister),
    Rule("hand_back", 1, workers.hand_back),
    Rule("crash_course", 3, workers.crash_course),
    Rule("lock", 3, workers.lock),
    Rule("take_mark", 6, workers.take_mark),
    Rule("due_soon", 2, workers.due_soon),
    Rule("cancel", 4, operators.cancel),
    Rule("retry", 6, operators.retry),
    Rule("retry_as_new", 2, operators.retry_as_new),
    Rule("run_now", 3, operators.run_now),
    Rule("delete", 2, operators.delete),
    Rule("switch", 3, operators.switch),
    Rule("promote", 4, maintenance.promote),
    Rule("reap", 3, maintenance.reap),
    Rule("watch", 3, maintenance.watch),
    Rule("survey", 3, maintenance.survey),
    Rule("trim", 4, maintenance.trim),
    Rule("take_tick", 1, maintenance.take_tick),
    Rule("flush_scripts", 1, maintenance.flush_scripts),
    Rule("clock", 8, time.clock),
    Rule("boundary", 10, time.boundary),
    Rule("again", 7, producers.again),
    Rule("go_on", 6, producers.go_on),
    Rule("read", 2, reading.read),
)
# At the two ends of an episode: in one of `weight` episodes.
FIRST = (Rule("crowd", 40, edges.crowd),)
LAST = (Rule("verify", 1, edges.verify), Rule("drain", 3, edges.drain))
