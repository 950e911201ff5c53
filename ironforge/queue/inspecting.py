"""Looks through one shard in bounded steps, and says what breaks a rule. Holds no more than a step's ids at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from redis.exceptions import ResponseError

from ironforge.queue.keys import INDEXES, namespace_meta, shard_of_name, shard_tag
from ironforge.queue.keyspace import KeyKind, kind_of
from ironforge.queue.namespace import shard_at
from ironforge.queue.rules import RULES
from ironforge.queue.shard import Shard
from ironforge.queue.stepping import ask, batches, cut, keys_like, members, raw, rows, some_members, text

TOGETHER = 25  # jobs that one script call judges: about half a millisecond, for which others wait
LATE_MS = 3_500  # two surveys that miss it, and a second
PATIENCE_S = LATE_MS / 1000 + 0.1  # after it, a head that somebody moves has moved
MOST_QUEUES = 1_000  # of which the ledger is added up, within one script
_RECORD = re.compile(rb"(pending|done)\|[^|]*\|.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with the books.

    Attributes:
        subject: what it is about: a job id, a queue, a worker, an error group, a key, or "ledger".
        rule: a name in rules.RULES.
        detail: in words that follow the subject.
        key: where it stands.
        owner: what the subject is: "job", "queue", "worker", "group", "ledger", or a key of the "shard", one that is "timed",
            or one of the "namespace".
        found_in: of a job, where else it was met: ("index", queue), ("claims", worker), ("group", fingerprint) or ("", "").
        shard: its number.
    """

    subject: str
    rule: str
    detail: str
    key: str
    owner: str = "job"
    found_in: tuple[str, str] = ("", "")
    shard: int = 0


@dataclass(slots=True)
class Looked:
    """How much was looked at so far."""

    jobs: int = 0
    entries: int = 0
    keys: int = 0


@dataclass(slots=True)
class Inspection:
    """One look through a shard.

    Args:
        at, shards: its number, of how many.
        sample: stop at so many jobs, and look at as many index entries at random only.
        tell: called after each step.
    """

    shard: Shard
    at: int
    shards: int
    looked: Looked
    sample: int | None = None
    tell: Callable[[Looked], None] | None = None
    _queues: set[str] = field(default_factory=set[str])
    _unknown: set[str] = field(default_factory=set[str])
    _lists_seen: set[str] = field(default_factory=set[str])
    _workers: set[str] = field(default_factory=set[str])
    _waiting: list[tuple[str, Finding]] = field(default_factory=list[tuple[str, Finding]])

    async def findings(self) -> AsyncIterator[Finding]:
        """What breaks a rule, in the order in which it is met; the same thing may be met twice."""
        parts = (self._keys(), self._lists(), self._holders(), self._groups(), self._heads(), self._ledger())
        for part in parts:
            async for finding in part:
                yield finding

    async def _keys(self) -> AsyncIterator[Finding]:
        """Every key of the shard, and what hangs on it."""
        jobs: list[str] = []
        others: list[tuple[str, KeyKind]] = []
        async for key in self._scan():
            name = key.removeprefix(self.shard.keys.prefix)
            self.looked.keys += 1
            kind = kind_of(name) if name != key else None
            if kind is None:
                if not name.startswith("test:"):
                    yield self._found(name, "unknown_key", "shard" if name != key else "namespace")
            elif kind.owner == "job":
                jobs.append(kind.name)
            else:
                others.append((name, kind))
            if len(jobs) == TOGETHER:
                async for finding in self._jobs(jobs):
                    yield finding
                jobs = []
            if len(others) == TOGETHER:
                async for finding in self._others(others):
                    yield finding
                others = []
            if self.sample is not None and self.looked.jobs >= self.sample:
                break
        async for finding in self._jobs(jobs):
            yield finding
        async for finding in self._others(others):
            yield finding

    async def _jobs(self, ids: list[str]) -> AsyncIterator[Finding]:
        self.looked.jobs += len(ids)
        for job_id in ids if self.shards > 1 else ():
            if shard_at(job_id, self.shards) != self.at:
                words = f"lies in shard {self.at}, where its id does not lead"
                yield self._found(job_id, "wrong_shard", "job", words)
        async for finding in self._inspect_jobs("hash", "", "", ids):
            yield finding

    async def _others(self, keys: list[tuple[str, KeyKind]]) -> AsyncIterator[Finding]:
        arguments = [
            word for name, kind in keys for word in (name, kind.type, "timed" if kind.ttl_ms else "")
        ]
        for name, rule, words in await self._inspect("key", arguments):
            kind = kind_of(name)
            rule = "damaged_key" if rule == "damaged" else rule
            yield self._found(name, rule, "timed" if kind and kind.ttl_ms else "shard", words)
        self._queues |= {kind.name for _, kind in keys if kind.owner == "queue"}
        self._lists_seen |= {name for name, kind in keys if kind.owner == "queue"}
        self._workers |= {kind.name for _, kind in keys if kind.owner == "worker"}
        async for finding in self._records([name for name, _ in keys if name.startswith("idem:")]):
            yield finding
        for _, kind in keys:
            if kind.owner == "group":
                dead = members(self.shard, "ZSCAN", self.shard.keys.dead_group(kind.name))
                async for ids in batches(dead, TOGETHER):
                    async for finding in self._inspect_jobs("group", kind.name, "", ids):
                        yield finding
                async for finding in self._named("group", [kind.name]):
                    yield finding

    async def _records(self, names: list[str]) -> AsyncIterator[Finding]:
        if not names:
            return
        values = await ask(self.shard, "MGET", *(self.shard.keys.prefix + name for name in names))
        for name, value in zip(names, values or (), strict=False):
            if value is not None and not _RECORD.fullmatch(value):
                yield self._found(name, "idempotency", "timed", value[:80].decode("utf-8", "replace"))

    async def _lists(self) -> AsyncIterator[Finding]:
        """Every queue, and every entry of its indexes."""
        keys = self.shard.keys
        known = {text(name) for name in await ask(self.shard, "SMEMBERS", keys.queues) or ()}
        self._unknown = self._queues - known
        self._queues |= known
        for batch in cut(sorted(self._queues), TOGETHER):
            for name in batch if self.shards > 1 else ():
                if shard_of_name(name, self.shards) != self.at:
                    words = f"queue {name} lies in shard {self.at}, where its name does not lead"
                    yield self._found(name, "wrong_shard", "queue", words)
            async for finding in self._named("queue", batch):
                yield finding
        for name in sorted(self._queues):
            for part in INDEXES:
                if self.sample is None and f"q:{name}:{part}" not in self._lists_seen:
                    continue  # it is empty, or what is there came since
                async for ids in batches(self._entries(keys.index(name, part)), TOGETHER):
                    self.looked.entries += len(ids)
                    async for finding in self._inspect_jobs("index", name, part, ids):
                        yield finding

    async def _holders(self) -> AsyncIterator[Finding]:
        """Every worker, and every job that it claims."""
        async for wid in members(self.shard, "ZSCAN", self.shard.keys.workers):
            self._workers.add(wid)
        for batch in cut(sorted(self._workers), TOGETHER):
            async for finding in self._named("worker", batch):
                yield finding
        for wid in sorted(self._workers):
            async for ids in batches(members(self.shard, "SSCAN", self.shard.keys.claims(wid)), TOGETHER):
                async for finding in self._inspect_jobs("claims", wid, "", ids):
                    yield finding

    async def _groups(self) -> AsyncIterator[Finding]:
        async for names in batches(members(self.shard, "ZSCAN", self.shard.keys.dead_groups), TOGETHER):
            async for finding in self._named("group", names):
                yield finding

    async def _heads(self) -> AsyncIterator[Finding]:
        """Heads whose time is over, that are still there after whoever moves them had time to."""
        for wid, rule, words in await self._inspect("reaper", []):
            self._waiting.append((words, self._found(wid, rule, "worker", words)))
        if not self._waiting:
            return
        await asyncio.sleep(PATIENCE_S)
        again = {(wid, rule, words) for wid, rule, words in await self._inspect("reaper", [])}
        queues = sorted({one.subject for _, one in self._waiting if one.owner == "queue"})
        for batch in cut(queues, TOGETHER):
            again |= set(await self._inspect("queue", batch))
        for words, finding in self._waiting:
            if (finding.subject, finding.rule, words) in again:
                yield finding

    async def _ledger(self) -> AsyncIterator[Finding]:
        try:
            found = await self.shard.call(
                "read_ledger", MOST_QUEUES, *map(raw, sorted(self._unknown)[:MOST_QUEUES])
            )
        except ResponseError as error:
            if "WRONGTYPE" in str(error):  # of one of the keys, which was said already
                return
            raise
        if not found:
            return
        submitted, listed, removed, corrected = (int(one) for one in found)
        if missing := submitted - listed - removed - corrected:
            where = f"of shard {self.at}: " if self.shards > 1 else ""
            words = (
                f"{where}{submitted:,} jobs were submitted, {listed:,} are listed, {removed:,} were removed, "
                f"{corrected:,} entered by a repair: {abs(missing):,} "
                + ("are gone without a record" if missing > 0 else "were never submitted")
            )
            yield self._found("ledger", "ledger", "ledger", words)

    async def _named(self, kind: str, names: Sequence[str]) -> AsyncIterator[Finding]:
        for name, rule, words in await self._inspect(kind, names):
            finding = self._found(name, rule, kind, words, queue=name)
            if rule == "overdue":
                self._waiting.append((words, finding))
            else:
                yield finding

    async def _inspect_jobs(self, found: str, name: str, part: str, ids: list[str]) -> AsyncIterator[Finding]:
        if not ids:
            return
        if self.tell:
            self.tell(self.looked)
        reply = await self.shard.call("inspect_job", found, raw(name), part, *map(raw, ids))
        for job_id, rule, status, queue, words in rows(reply, 5):
            where = ("", "") if found == "hash" else (found, name)
            yield self._found(job_id, rule, "job", words, status, queue, found_in=where)

    async def _inspect(self, kind: str, names: Sequence[str]) -> list[tuple[str, str, str]]:
        if not names and kind != "reaper":
            return []
        reply = await self.shard.call("inspect_key", kind, LATE_MS, *map(raw, names))
        return [(subject, rule, words) for subject, rule, words in rows(reply, 3)]

    async def _scan(self) -> AsyncIterator[str]:
        """The shard's keys; the first shard's look finds those of the namespace too that no shard has."""
        keys = self.shard.keys
        elsewhere = {shard_tag(at, self.shards) for at in range(self.shards) if at != self.at}
        async for key in keys_like(self.shard, (keys.prefix if self.at else f"{keys.namespace}:") + "*"):
            tag = key[len(keys.namespace) + 2 :].partition("}:")[0]
            if key.startswith(keys.prefix) or (
                tag not in elsewhere and key != namespace_meta(keys.namespace)
            ):
                yield key

    def _entries(self, key: str) -> AsyncIterator[str]:
        """The members of an index, or some of them at random."""
        if self.sample is None:
            return members(self.shard, "ZSCAN", key)
        return some_members(self.shard, key, self.sample // len(INDEXES) + 1)

    def _found(
        self,
        subject: str,
        rule: str,
        owner: str,
        words: str = "",
        status: str = "",
        queue: str = "",
        *,
        found_in: tuple[str, str] = ("", ""),
    ) -> Finding:
        keys = self.shard.keys
        key = {
            "job": keys.job(subject), "queue": keys.settings(subject), "worker": keys.worker(subject),
            "group": keys.dead_group(subject), "ledger": keys.stats,
            "namespace": subject,
        }.get(owner, keys.prefix + subject)  # fmt: skip
        detail = RULES[rule].says.format(name=subject, words=words, status=status, queue=queue, key=key)
        return Finding(subject, rule, detail, key, owner, found_in, self.at)
