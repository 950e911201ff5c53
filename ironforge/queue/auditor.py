"""The auditor: is every job in exactly the one place its status names? In bounded steps, on a live namespace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ironforge.job import JobStatus
from ironforge.queue.connection import store_errors
from ironforge.queue.keys import INDEXES
from ironforge.queue.listing import Listing

_STEP = 500
_STATUSES = frozenset(status.value for status in JobStatus)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with the books: what it is about (a job id, a worker, a group), and in words."""

    subject: str
    rule: str
    detail: str


@dataclass(slots=True)
class Audit:
    """What was looked at, and what is wrong."""

    jobs: int = 0
    entries: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])


async def audit(queue: Listing, most_findings: int = 1000) -> Audit:
    """Looks at every job, every index entry, every claim and every dead group.

    What looks wrong is looked at again inside one script, where nothing can move meanwhile.
    """
    found = Audit()
    async for job_id in _job_ids(queue):
        found.jobs += 1
        found.findings += await _judge(queue, job_id, "")
        if len(found.findings) >= most_findings:
            return found
    for name in await queue.queue_names():
        for part in INDEXES:
            async for job_id in _members(queue, queue.keys.index(name, part)):
                found.entries += 1
                found.findings += await _judge_entry(queue, job_id, name, part)
    found.findings += await _judge_workers(queue)
    found.findings += await _judge_groups(queue)
    found.findings = list(dict.fromkeys(found.findings))[:most_findings]
    return found


def judge(reply: list[str], job_id: str) -> list[Finding]:
    """What a reply of inspect_job.lua says against a job that exists."""
    status, queue, facts = reply[0], reply[1], set(reply[2:])
    places = sorted(fact[3:] for fact in facts if fact.startswith("in:"))
    found: list[Finding] = []

    def wrong(rule: str, detail: str) -> None:
        found.append(Finding(job_id, rule, detail))

    if status not in _STATUSES:
        wrong("status", f"its hash says status {status!r}")
        return found
    parts = ("queued", "suspects") if status == "queued" else (status,)
    allowed = {f"{queue}:{part}" for part in parts}
    if not places:
        wrong("not_indexed", f"is {status} but in no list of queue {queue}")
    elif len(places) > 1:
        wrong("several_places", f"is {status} and in {', '.join(places)}")
    elif places[0] not in allowed:
        wrong("wrong_place", f"is {status} but in {places[0]}")
    elif places[0].endswith(":suspects") and "crashed" not in facts:
        wrong("suspect", "is among the suspects without two crashes")
    if status == "running" and not {"claimed", "registered"} <= facts:
        wrong("unclaimed", "runs, but no registered worker holds it")
    if status != "running" and "claimed" in facts:
        wrong("claimed", f"is {status}, but a worker's claims hold it")
    if status == "dead" and "grouped" not in facts:
        wrong("group", "is dead, but its error group does not hold it")
    if status != "dead" and "grouped" in facts:
        wrong("group", f"is {status}, but an error group holds it")
    return found


async def _inspect(queue: Listing, job_id: str, name: str) -> list[str]:
    reply: list[bytes] = await queue.call("inspect_job", job_id, name)
    return [part.decode("utf-8", "replace") for part in reply]


async def _judge(queue: Listing, job_id: str, name: str) -> list[Finding]:
    reply = await _inspect(queue, job_id, name)
    return judge(reply, job_id) if reply[0] or reply[1] else []  # gone meanwhile is no finding


async def _judge_entry(queue: Listing, job_id: str, name: str, part: str) -> list[Finding]:
    """An index entry: is there a job, and does it say the same?"""
    reply = await _inspect(queue, job_id, name)
    if f"in:{name}:{part}" not in reply:
        return []  # it moved on
    if not reply[0] and not reply[1]:
        return [Finding(job_id, "ghost", f"is listed in {name}:{part}, but there is no such job")]
    return judge(reply, job_id)


async def _judge_workers(queue: Listing) -> list[Finding]:
    found: list[Finding] = []
    async for wid in _members(queue, queue.keys.workers):
        with store_errors():
            held = await queue.client.execute_command("SMEMBERS", queue.keys.claims(wid))
        for job_id in (raw.decode("utf-8", "replace") for raw in held):
            reply = await _inspect(queue, job_id, "")
            with store_errors():
                still = await queue.client.execute_command("SISMEMBER", queue.keys.claims(wid), job_id)
            if still and f"worker:{wid}" not in reply:
                found.append(Finding(job_id, "claim", f"worker {wid} claims it, but it does not run there"))
    return found


async def _judge_groups(queue: Listing) -> list[Finding]:
    """Each group's count, and each of its members."""
    found: list[Finding] = []
    async for fingerprint in _members(queue, queue.keys.dead_groups):
        with store_errors():
            count, size = (
                await queue.client.pipeline(transaction=True)
                .execute_command("ZSCORE", queue.keys.dead_groups, fingerprint)
                .execute_command("ZCARD", queue.keys.dead_group(fingerprint))
                .execute()
            )
        if count is not None and int(float(count)) != size:
            found.append(
                Finding(
                    fingerprint, "group_count", f"the group counts {int(float(count))} jobs and holds {size}"
                )
            )
        async for job_id in _members(queue, queue.keys.dead_group(fingerprint)):
            reply = await _inspect(queue, job_id, "")
            if not reply[0]:
                with store_errors():
                    held = await queue.client.execute_command(
                        "ZSCORE", queue.keys.dead_group(fingerprint), job_id
                    )
                if held is not None:
                    found.append(
                        Finding(job_id, "ghost", f"is in error group {fingerprint}, but there is no such job")
                    )
    return found


async def _job_ids(queue: Listing) -> AsyncIterator[str]:
    prefix = queue.keys.job("")
    cursor = 0
    while True:
        with store_errors():
            cursor, keys = await queue.client.execute_command(
                "SCAN", cursor, "MATCH", prefix + "*", "COUNT", _STEP
            )
        for key in keys:
            yield key.decode("utf-8", "replace").removeprefix(prefix)
        if int(cursor) == 0:
            return
        cursor = int(cursor)


async def _members(queue: Listing, key: str) -> AsyncIterator[str]:
    cursor = 0
    while True:
        with store_errors():
            reply = await queue.client.execute_command("ZSCAN", key, cursor, "COUNT", _STEP)
        cursor, found = int(reply[0]), reply[1]
        pairs = found.items() if isinstance(found, dict) else found
        for pair in pairs:
            yield pair[0].decode("utf-8", "replace")
        if cursor == 0:
            return
