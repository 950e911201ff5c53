"""Puts the books right, one atomic script call for each finding, which looks again before it changes anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from redis.exceptions import ResponseError

from ironforge.queue.auditor import findings
from ironforge.queue.inspecting import MOST_QUEUES, Finding, Looked
from ironforge.queue.keyspace import DAY_MS, kind_of
from ironforge.queue.namespace import Namespace
from ironforge.queue.rules import RULES
from ironforge.queue.shard import Shard
from ironforge.queue.stepping import raw


class Repaired(NamedTuple):
    """What was wrong, and what was done about it (or would be). Nothing was: a person has to look, or it is well by now."""

    finding: Finding
    done: tuple[str, ...]


async def repair(
    queue: Namespace, *, dry_run: bool = False, tell: Callable[[Looked], None] | None = None
) -> AsyncIterator[Repaired]:
    """Looks at everything once, and repairs what it meets and may. What hides behind that shows at the next look.

    Args:
        dry_run: tells only what would be done.
        tell: as for `audit`.
    """
    shards = await queue.all_shards()
    async for finding in findings(queue, Looked(), tell=tell):
        if RULES[finding.rule].repaired:
            yield Repaired(finding, await _put_right(shards[finding.shard], finding, dry_run))


async def _put_right(shard: Shard, finding: Finding, dry_run: bool) -> tuple[str, ...]:
    verb = "tell" if dry_run else "do"
    subject = raw(finding.subject)
    try:
        if finding.owner == "job":
            found, name = finding.found_in
            places = [raw(name) if found == where else b"" for where in ("index", "claims", "group")]
            done = await shard.call("repair", verb, subject, *places)
        elif finding.owner in ("shard", "timed"):
            kind = kind_of(finding.subject)
            word = "timed" if finding.rule == "no_ttl" else "lasting"
            done = await shard.call(
                "repair_key", verb, word, subject, kind.ttl_ms if kind and kind.ttl_ms else DAY_MS
            )
        else:
            done = await shard.call("repair_key", verb, finding.owner, subject, MOST_QUEUES)
    except ResponseError as error:  # a key on the way is of another type: said by a finding of its own
        return (f"could not be repaired: {error}",)
    return tuple(word.decode("utf-8", "replace") for word in done)
