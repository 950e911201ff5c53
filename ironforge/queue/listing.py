"""Pages of jobs by cursor: what a page costs does not grow with the index."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from heapq import merge
from itertools import islice
from typing import NamedTuple

from ironforge.errors import InvalidJob
from ironforge.job import Job, JobStatus
from ironforge.queue.codec import job_from_hash
from ironforge.queue.connection import store_errors
from ironforge.queue.keys import by_shard
from ironforge.queue.namespace import Namespace, shard_at
from ironforge.queue.readings import JobFilter, JobPage
from ironforge.queue.shard import Shard

# Jobs looked at for one page at most; a page of a filter that matches rarely may be short.
EXAMINED_PER_PAGE = 1000
_STEP = 200
_FALLING = frozenset({JobStatus.DEAD, JobStatus.COMPLETED, JobStatus.CANCELLED})
_ALL_IN_ORDER = (
    JobStatus.RUNNING,
    JobStatus.QUEUED,
    JobStatus.RETRYING,
    JobStatus.SCHEDULED,
    JobStatus.DEAD,
    JobStatus.COMPLETED,
    JobStatus.CANCELLED,
)


class Position(NamedTuple):
    """After which member of which status's lists a page begins; the empty score begins a status."""

    status: JobStatus
    score: str = ""
    id: str = ""

    def to_cursor(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode().rstrip("=")

    @classmethod
    def from_cursor(cls, cursor: str) -> Position:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            status, score, job_id = json.loads(base64.urlsafe_b64decode(padded))
            float(score or 0)
            return cls(JobStatus(status), str(score), str(job_id))
        except (ValueError, TypeError):
            raise InvalidJob(
                "the cursor is not one of ours; begin without it",
                [{"pointer": "/cursor", "detail": "not a cursor"}],
            ) from None


class Listing(Namespace):
    async def list_jobs(self, wanted: JobFilter, cursor: str | None = None, limit: int = 50) -> JobPage:
        """A page of jobs in the order of contract §4. Raises InvalidJob for a cursor that was not ours."""
        statuses = [wanted.status] if wanted.status else list(_ALL_IN_ORDER)
        if wanted.error:
            statuses = [status for status in statuses if status is JobStatus.DEAD]
        queues = [wanted.queue] if wanted.queue else await self.queue_names()
        at = Position.from_cursor(cursor) if cursor else None
        if at and at.status in statuses:
            statuses = statuses[statuses.index(at.status) :]
        total = None if wanted.examines else await self._total(wanted, queues)
        jobs: list[Job] = []
        examined = 0
        for status in statuses:
            position = at if at and at.status is status else Position(status)
            while True:
                step = min(_STEP, EXAMINED_PER_PAGE - examined, limit if not wanted.examines else _STEP)
                members = await self._members(wanted, position, queues, step)
                for member, job in zip(members, await self._jobs(members), strict=True):
                    position = Position(status, *member)
                    examined += 1
                    if job and job.status is status and _matches(job, wanted):
                        jobs.append(job)
                        if len(jobs) == limit:
                            return JobPage(jobs, position.to_cursor(), total)
                if len(members) < step:
                    break
                if examined >= EXAMINED_PER_PAGE:
                    return JobPage(jobs, position.to_cursor(), total)
        return JobPage(jobs, None, total)

    async def get_many(self, job_ids: Iterable[str]) -> list[Job | None]:
        """Those jobs in one round trip, in their order; None for one that does not exist."""
        return await self._jobs([("", job_id) for job_id in job_ids])

    async def queue_names(self) -> list[str]:
        """Every queue ever used, `default` always."""
        found = [await shard.queue_names() for shard in await self.all_shards()]
        return sorted({"default"}.union(*found))

    async def _members(
        self, wanted: JobFilter, at: Position, queues: list[str], count: int
    ) -> list[tuple[str, str]]:
        """(score, id) of the next `count` members over all indexes of the status, in its order."""
        falling = at.status in _FALLING
        direction = "down" if falling else "up"
        lists: list[list[tuple[str, str]]] = []
        for shard, indexes in await self._indexes(wanted, at.status, queues):
            for reply in await shard.call("read_page", direction, at.score, at.id, count, *indexes):
                lists.append([(reply[i + 1].decode(), reply[i].decode()) for i in range(0, len(reply), 2)])
        ordered = merge(*lists, key=lambda member: (float(member[0]), member[1]), reverse=falling)
        return list(islice(ordered, count))

    async def _indexes(
        self, wanted: JobFilter, status: JobStatus, queues: list[str]
    ) -> list[tuple[Shard, list[str]]]:
        """The indexes that hold the jobs, named without the prefix, by shard."""
        shards = await self.all_shards()
        if wanted.error:
            return [(shard, [f"dead:group:{wanted.error}"]) for shard in shards]
        parts = ("queued", "suspects") if status is JobStatus.QUEUED else (status.value,)
        return [
            (shards[at], [f"q:{name}:{part}" for name in names for part in parts])
            for at, names in by_shard(queues, len(shards)).items()
        ]

    async def _jobs(self, members: list[tuple[str, str]]) -> list[Job | None]:
        shards = await self.all_shards()
        parts: dict[int, list[int]] = {}
        for at, (_, job_id) in enumerate(members):
            shard = shard_at(job_id, len(shards))
            if shard is not None:
                parts.setdefault(shard, []).append(at)
        jobs: list[Job | None] = [None] * len(members)
        for shard, ats in parts.items():
            ids = [members[at][1] for at in ats]
            for at, job in zip(ats, await _read_jobs(shards[shard], ids), strict=True):
                jobs[at] = job
        return jobs

    async def _total(self, wanted: JobFilter, queues: list[str]) -> int:
        statuses = [wanted.status] if wanted.status else list(_ALL_IN_ORDER)
        if wanted.error:
            statuses = [JobStatus.DEAD] if JobStatus.DEAD in statuses else []
        names: dict[Shard, list[str]] = {}
        for status in statuses:
            for shard, indexes in await self._indexes(wanted, status, queues):
                names.setdefault(shard, []).extend(indexes)
        total = 0
        for shard, indexes in names.items():
            with store_errors():
                pipe = shard.client.pipeline(transaction=False)
                for name in indexes:
                    pipe.execute_command("ZCARD", shard.keys.prefix + name)
                total += sum(await pipe.execute())
        return total


async def _read_jobs(shard: Shard, job_ids: list[str]) -> list[Job | None]:
    with store_errors():
        pipe = shard.client.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.execute_command("HGETALL", shard.keys.job(job_id))
        hashes = await pipe.execute()
    return [
        job_from_hash(job_id, fields) if fields else None
        for job_id, fields in zip(job_ids, hashes, strict=True)
    ]


def _matches(job: Job, wanted: JobFilter) -> bool:
    if wanted.queue and job.queue != wanted.queue:
        return False
    if wanted.kind and job.kind != wanted.kind:
        return False
    if wanted.tag and wanted.tag not in job.tags:
        return False
    return not wanted.q or _found(job, wanted.q)


def _found(job: Job, q: str) -> bool:
    """Whether the text occurs, in any case, in the kind, id, last error or payload (as sent, or as it reads)."""
    needle = q.lower()
    error = f"{job.last_error.type}: {job.last_error.message}" if job.last_error else ""
    if any(needle in hay.lower() for hay in (job.kind, job.id, error)):
        return True
    payload = job.payload_json.decode("utf-8", "replace")
    if needle in payload.lower():
        return True
    try:
        return "\\" in payload and needle in json.dumps(json.loads(payload), ensure_ascii=False).lower()
    except ValueError:
        return False
