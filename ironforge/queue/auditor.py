"""The auditor: is every job in exactly the one place its status names? In bounded steps, on a live namespace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ironforge.job import JobStatus
from ironforge.queue.connection import store_errors
from ironforge.queue.keys import INDEXES, Keys
from ironforge.queue.namespace import Namespace
from ironforge.queue.shard import Shard

_STEP = 500  # keys or members a step asks for
_TOGETHER = 100  # jobs inspected in one round trip, each by a script call of its own
_STATUSES = frozenset(status.value for status in JobStatus)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with the books: what it is about (a job id, a group), in words, and the key where it stands."""

    subject: str
    rule: str
    detail: str
    key: str


@dataclass(slots=True)
class Audit:
    """What was looked at, and what is wrong. `whole` is False when it stopped at the most findings it may have."""

    jobs: int = 0
    entries: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])
    whole: bool = True


class _Place(NamedTuple):
    """A job id, and where it was met: in an index of a queue, a worker's claims, an error group, or as a hash."""

    id: str
    queue: str = ""
    part: str = ""
    wid: str = ""
    group: str = ""


async def audit(
    queue: Namespace, most_findings: int = 1000, tell: Callable[[Audit], None] | None = None
) -> Audit:
    """Looks at every job, every index entry, every claim and every dead group.

    A job is judged by what one script call said of it, within which nothing can move.

    Args:
        most_findings: it stops there.
        tell: called after each step, with what was looked at so far.
    """
    found = Audit()
    seen: set[Finding] = set()
    for shard in await queue.all_shards():
        await _look_at(shard, found, seen, most_findings, tell)
        if not found.whole:
            break
    found.findings = sorted(seen, key=lambda one: (one.rule, one.subject))[:most_findings]
    return found


async def _look_at(
    shard: Shard,
    found: Audit,
    seen: set[Finding],
    most_findings: int,
    tell: Callable[[Audit], None] | None,
) -> None:
    async for batch in _batches(_places(shard)):
        pipeline = shard.pipeline()
        for place in batch:
            pipeline.add(shard.script("inspect_job"), place.id, place.queue, place.wid, place.group)
        with store_errors():
            replies = await pipeline.run()
        for place, reply in zip(batch, replies, strict=True):
            found.jobs += place == _Place(place.id)
            found.entries += bool(place.part)
            words = [word.decode("utf-8", "replace") for word in reply]
            seen.update(_judge_place(shard.keys, place, words))
        if tell:
            tell(found)
        if len(seen) >= most_findings:
            found.whole = False
            return
    seen.update(await _judge_groups(shard))


def _wrongs(status: str, queue: str, facts: set[str]) -> Iterator[tuple[str, str]]:
    if "damaged" in facts:
        yield "damaged", "is no job: its key is no hash, or one without a status"
        return
    if status not in _STATUSES:
        yield "status", f"its hash says status {status!r}"
        return
    yield from _wrong_places(status, queue, facts)
    if "known" not in facts:
        yield "unknown_queue", f"is in queue {queue}, which is not among the queues"
    if status == "running" and not {"claimed", "registered"} <= facts:
        yield "unclaimed", "runs, but no registered worker holds it"
    if status != "running" and "claimed" in facts:
        yield "claimed", f"is {status}, but a worker's claims hold it"
    if status == "dead" and "grouped" not in facts:
        yield "group", "is dead, but its error group does not hold it"
    if status == "dead" and "grouped" in facts and "listed" not in facts:
        yield "group", "is dead, but its error group is not among the groups"
    if status != "dead" and facts & {"grouped", "member"}:
        yield "group", f"is {status}, but an error group holds it"


def _wrong_places(status: str, queue: str, facts: set[str]) -> Iterator[tuple[str, str]]:
    places = sorted(fact[3:] for fact in facts if fact.startswith("in:"))
    wanted = "suspects" if status == "queued" and "crashed" in facts else status
    if not places:
        yield "not_indexed", f"is {status} but in no list of queue {queue}"
    elif len(places) > 1:
        yield "several_places", f"is {status} and in {', '.join(places)}"
    elif places[0] == f"{queue}:{wanted}":
        return
    elif places[0] == f"{queue}:suspects" and status == "queued":
        yield "suspect", "is among the suspects without two crashes"
    elif places[0] == f"{queue}:queued" and status == "queued":
        yield "suspect", "saw two crashes and is not among the suspects"
    else:
        yield "wrong_place", f"is {status} but in {places[0]}"


def _judge_place(keys: Keys, place: _Place, reply: list[str]) -> list[Finding]:
    """What a reply of inspect_job.lua says against a job, and against the place where its id was met."""
    facts = set(reply[2:])
    exists = bool(reply[0] or reply[1]) or "damaged" in facts
    wrongs = _wrongs(reply[0], reply[1], facts) if exists else ()  # one that is gone meanwhile is no finding
    found = [Finding(place.id, rule, detail, keys.job(place.id)) for rule, detail in wrongs]

    def against(key: str, rule: str, detail: str) -> None:
        found.append(Finding(place.id, rule, detail, key))

    if place.part and not exists and f"in:{place.queue}:{place.part}" in facts:
        where = f"is listed in {place.queue}:{place.part}, but there is no such job"
        against(keys.index(place.queue, place.part), "ghost", where)
    if place.group and not exists and "member" in facts:
        where = f"is in error group {place.group}, but there is no such job"
        against(keys.dead_group(place.group), "ghost", where)
    if place.group and exists and "member" in facts and f"group:{place.group}" not in facts:
        where = f"is in error group {place.group}, which is not its own"
        against(keys.dead_group(place.group), "other_group", where)
    if "held" in facts and "holder" not in facts:
        against(keys.claims(place.wid), "claim", f"worker {place.wid} claims it, and is not registered")
    elif "held" in facts and f"worker:{place.wid}" not in facts:
        against(keys.claims(place.wid), "claim", f"worker {place.wid} claims it, but it does not run there")
    return found


async def _judge_groups(queue: Shard) -> list[Finding]:
    """Each group's count is how many it holds."""
    found: list[Finding] = []
    async for fingerprint in _members(queue, queue.keys.dead_groups):
        with store_errors():
            pipe = queue.client.pipeline(transaction=True)
            pipe.execute_command("ZSCORE", queue.keys.dead_groups, fingerprint)
            pipe.execute_command("ZCARD", queue.keys.dead_group(fingerprint))
            replies: list[Any] = await pipe.execute()
        count, size = replies
        if count is not None and int(float(count)) != size:
            words = f"the group counts {int(float(count))} jobs and holds {size}"
            found.append(Finding(fingerprint, "group_count", words, queue.keys.dead_groups))
    return found


async def _places(queue: Shard) -> AsyncIterator[_Place]:
    """Every place where a job id is written."""
    async for job_id in _keys(queue, "job:", ""):
        yield _Place(job_id)
    names = await queue.queue_names() | {"default"}
    names |= {key.rpartition(":")[0] async for key in _keys(queue, "q:", "")}
    for name in sorted(names):
        for part in INDEXES:
            async for job_id in _members(queue, queue.keys.index(name, part)):
                yield _Place(job_id, queue=name, part=part)
    async for wid in _keys(queue, "worker:", ":claims"):
        for job_id in await _ask(queue, "SMEMBERS", queue.keys.claims(wid)):
            yield _Place(_text(job_id), wid=wid)
    async for fingerprint in _keys(queue, "dead:group:", ""):
        async for job_id in _members(queue, queue.keys.dead_group(fingerprint)):
            yield _Place(job_id, group=fingerprint)


async def _batches(places: AsyncIterator[_Place]) -> AsyncIterator[list[_Place]]:
    batch: list[_Place] = []
    async for place in places:
        batch.append(place)
        if len(batch) == _TOGETHER:
            yield batch
            batch = []
    if batch:
        yield batch


async def _keys(queue: Shard, before: str, after: str) -> AsyncIterator[str]:
    """What stands between the two parts, in the names of keys."""
    prefix = queue.keys.prefix + before
    cursor = 0
    while True:
        reply = await _ask(queue, "SCAN", cursor, "MATCH", f"{prefix}*{after}", "COUNT", _STEP)
        cursor = int(reply[0])
        for key in reply[1]:
            yield _text(key).removeprefix(prefix).removesuffix(after)
        if cursor == 0:
            return


async def _members(queue: Shard, key: str) -> AsyncIterator[str]:
    cursor = 0
    while True:
        reply = await _ask(queue, "ZSCAN", key, cursor, "COUNT", _STEP)
        cursor = int(reply[0])
        for member, _ in reply[1]:
            yield _text(member)
        if cursor == 0:
            return


async def _ask(queue: Shard, *command: str | int) -> Any:
    client: Any = queue.client
    with store_errors():
        return await client.execute_command(*command)


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "replace")
