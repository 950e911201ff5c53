"""The rules that the books keep: what each says of whom it is broken by, and what a person does about it.

Lua judges (inspect_job.lua, inspect_key.lua, read_ledger.lua); here are the words, and which invariant a rule belongs to.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """One rule of the books.

    Attributes:
        invariant: its number in docs/doctor.md.
        says: of what breaks it, with {status}, {queue}, {words} and {name} (of the key's owner) filled in.
        advice: what to do by hand where --repair does nothing; {key} is where it stands, {subject} the job, queue or worker.
        repaired: `ironforge doctor --repair` puts it right.
    """

    invariant: int
    says: str
    advice: str = ""
    repaired: bool = True


_SUBMIT_AGAIN = "note its payload (HGET {key} payload), DEL {key} and its index entries, and submit it again"
_LOOK = "look at it (TYPE {key}); if nothing of yours needs it: DEL {key}"

RULES: dict[str, Rule] = {
    "not_indexed": Rule(1, "is {status} but in no list of queue {queue}"),
    "several_places": Rule(1, "is {status} in queue {queue}, and in {words} as well"),
    "wrong_place": Rule(1, "is {status} in queue {queue}, but in {words}"),
    "suspect": Rule(1, "is {status}, but its crashes and its list ({words}) do not agree"),
    "score": Rule(1, "is {status}, but its place {words} in the list is not what its fields say"),
    "status": Rule(1, "has status {words!r}, which there is not", _SUBMIT_AGAIN, False),
    "damaged": Rule(2, "is no job: its key is no hash, or one without a status or a queue", _LOOK, False),
    "ghost": Rule(2, "is listed in {words}, but there is no such job"),
    "fields": Rule(2, "cannot be read whole: {words}", _SUBMIT_AGAIN, False),
    "expires": Rule(2, "would vanish by itself: something set a time limit on {key}"),
    "fence": Rule(
        3, "runs under fence {words!r}, which no claim made", "it settles or lapses by itself", False
    ),
    "claim": Rule(5, "is claimed by worker {words}, but does not run there"),
    "claimed": Rule(5, "is {status}, but still names worker {words} as its holder"),
    "unclaimed": Rule(6, "runs, but no registered worker holds it (it names {words!r})"),
    "orphan": Rule(6, "worker {name} has no lease, but left keys behind"),
    "worker": Rule(6, "worker {name} has a lease, but said nothing of itself", "restart that worker", False),
    "unreaped": Rule(
        7, "worker {name}'s lease ran out, and its jobs were not handed back", "report it", False
    ),
    "counts": Rule(
        8, "its counts do not agree: {words}", "it runs on; its history is not to be trusted", False
    ),
    "attempts": Rule(8, "keeps more attempts than the last ten"),
    "outcome": Rule(
        9, "is {status}, but its last attempt says {words!r}", "find out who changed it; it runs on", False
    ),
    "overdue": Rule(
        10, "in queue {name} a due job was not promoted ({words})", "see that a worker or server runs", False
    ),
    "idempotency": Rule(12, "says {words!r}, which no submit wrote", "DEL {key}", False),
    "ledger": Rule(15, "{words}"),
    "paused": Rule(18, "began to run after queue {queue} was paused", "it ends by itself; report it", False),
    "wake": Rule(18, "the wake-up mark of queue {name} is not one"),
    "alone": Rule(18, "worker {name} waits for {words} to end, which it does not run"),
    "order": Rule(18, "is {status}, and the order to cancel it is not where it should be ({words})"),
    "stale_order": Rule(21, "worker {name} has an order for a job that does not run there: {words}"),
    "sequence": Rule(22, "the last sequence of queue {name} is {words}"),
    "wrong_shard": Rule(
        20, "{words}", "nobody looks there: find out what wrote it; submit it again where it belongs", False
    ),
    "unknown_queue": Rule(21, "queue {queue} is not among the queues"),
    "group": Rule(21, "is {status}, and its error group ({words}) says otherwise"),
    "other_group": Rule(21, "is in error group {words}, which is not its own"),
    "group_count": Rule(21, "error group {name} {words}"),
    "no_ttl": Rule(21, "has no time limit, so it would stay for ever"),
    "unknown_key": Rule(21, "is a key that nothing of ours writes", _LOOK, False),
    "damaged_key": Rule(
        21, "is a {words}, which it never is", "look at it; if nothing of yours needs it: DEL {key}", False
    ),
}
