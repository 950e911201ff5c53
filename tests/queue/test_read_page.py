"""read_page.lua and the lists built on it."""

from __future__ import annotations

import pytest

from ironforge.errors import InvalidJob
from ironforge.job import Job, JobStatus, NewJob, Priority
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter
from tests.queue.state import ERROR, Lane, dead_job, move_clock
from tests.queue.stopped import Stopped


async def _all(queue: RedisQueue, wanted: JobFilter, limit: int) -> list[Job]:
    jobs: list[Job] = []
    cursor: str | None = None
    while True:
        page = await queue.list_jobs(wanted, cursor, limit)
        assert len(page.jobs) <= limit
        jobs += page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return jobs


@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_pages_give_every_job_once_in_the_order_they_will_run(queue: RedisQueue, limit: int) -> None:
    order = [Priority.LOW, Priority.HIGH, Priority.MEDIUM]
    jobs = await queue.enqueue_many(
        [NewJob("greet", queue=f"q{at % 2}", priority=order[at % 3]) for at in range(30)]
    )
    listed = await _all(queue, JobFilter(status=JobStatus.QUEUED), limit)
    assert {job.id for job in listed} == {job.id for job in jobs}
    assert len(listed) == 30
    assert [job.priority.rank for job in listed] == sorted(job.priority.rank for job in listed)
    one = await _all(queue, JobFilter(status=JobStatus.QUEUED, queue="q0"), limit)
    assert [job.id for job in one] == [job.id for job in listed if job.queue == "q0"]


async def test_jobs_of_one_moment_are_neither_lost_nor_repeated(queue: RedisQueue, lane: Lane) -> None:
    """All of them share one score, so only their ids tell the pages apart."""
    await queue.enqueue_many([NewJob("greet") for _ in range(9)])
    for job in await lane.claim(9):
        await lane.settle(job, "dead", error_json=ERROR, fingerprint="f")
        await queue.client.zadd(queue.keys.index("default", "dead"), {job.id: 1_000})
    listed = await _all(queue, JobFilter(status=JobStatus.DEAD), 2)
    assert [job.id for job in listed] == sorted((job.id for job in listed), reverse=True)
    assert len(listed) == 9


async def test_the_one_last_seen_may_leave_meanwhile(queue: RedisQueue) -> None:
    jobs = await queue.enqueue_many([NewJob("greet") for _ in range(6)])
    page = await queue.list_jobs(JobFilter(status=JobStatus.QUEUED), None, 3)
    await queue.delete(jobs[2].id)
    rest = await queue.list_jobs(JobFilter(status=JobStatus.QUEUED), page.next_cursor, 3)
    assert [job.id for job in rest.jobs] == [job.id for job in jobs[3:]]


async def test_orders_of_the_other_statuses(queue: RedisQueue, lane: Lane) -> None:
    ids: list[str] = []
    for _ in range(2):
        ids.append((await dead_job(queue, lane)).id)
        await move_clock(queue, 50)
    assert [job.id for job in (await queue.list_jobs(JobFilter(status=JobStatus.DEAD))).jobs] == ids[::-1]
    late = await queue.enqueue(NewJob("greet", delay_ms=90_000))
    early = await queue.enqueue(NewJob("greet", delay_ms=60_000))
    scheduled = await queue.list_jobs(JobFilter(status=JobStatus.SCHEDULED))
    assert [job.id for job in scheduled.jobs] == [early.id, late.id]


async def test_without_a_status_running_comes_first(queue: RedisQueue, lane: Lane) -> None:
    dead = await dead_job(queue, lane)
    first, second = await queue.enqueue_many([NewJob("greet"), NewJob("greet")])
    await lane.claim(1)
    delayed = await queue.enqueue(NewJob("greet", delay_ms=60_000))
    listed = await _all(queue, JobFilter(), 2)
    assert [job.id for job in listed] == [first.id, second.id, delayed.id, dead.id]
    assert (await queue.list_jobs(JobFilter())).total == 4


async def test_filters(queue: RedisQueue, lane: Lane) -> None:
    dead = await dead_job(queue, lane, "f1")
    mail = await queue.enqueue(NewJob("mail.send", b'{"to":"Ada@example.com"}', tags=("vip",)))
    await queue.enqueue(NewJob("mail.send", b'{"to":"bob"}'))

    async def ids(**wanted: str) -> list[str]:
        return [job.id for job in (await queue.list_jobs(JobFilter(**wanted))).jobs]  # type: ignore[arg-type]

    assert await ids(tag="vip") == [mail.id]
    assert await ids(kind="greet") == [dead.id]
    assert await ids(q="ada@") == [mail.id]
    assert await ids(q=mail.id[-12:]) == [mail.id]
    assert await ids(q="valueerror") == [dead.id]
    assert await ids(error="f1") == [dead.id] and await ids(error="none") == []
    assert (await queue.list_jobs(JobFilter(kind="greet"))).total is None


async def test_a_rare_match_costs_a_bounded_page_and_is_found(queue: RedisQueue) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(1100)])
    rare = await queue.enqueue(NewJob("rare"))
    page = await queue.list_jobs(JobFilter(kind="rare"), None, 10)
    assert page.jobs == [] and page.next_cursor is not None
    page = await queue.list_jobs(JobFilter(kind="rare"), page.next_cursor, 10)
    assert [job.id for job in page.jobs] == [rare.id] and page.next_cursor is None


@pytest.mark.parametrize("cursor", ["x", "e30", "WyJxdWV1ZWQiLCAibm8iLCAiIl0", "////"])
async def test_a_cursor_that_is_not_ours(queue: RedisQueue, cursor: str) -> None:
    with pytest.raises(InvalidJob):
        await queue.list_jobs(JobFilter(), cursor)


async def _indexes(stopped: Stopped, *members: tuple[str, int]) -> None:
    for member, score in members:
        await stopped.put("lab", "ZADD", score, member)
    await stopped.put("lab2", "ZADD", 5, "z")


_MEMBERS = [("a", 1), ("b", 2), ("c", 2), ("d", 2), ("e", 3)]
_PAGES = [
    # direction, after which score and id, at most, what follows
    ("up", "", "", 3, "abc"),
    ("up", "", "", 9, "abcde"),
    ("up", 1, "a", 2, "bc"),
    ("up", 2, "b", 2, "cd"),
    ("up", 2, "d", 2, "e"),
    ("up", 3, "e", 2, ""),
    ("up", 2, "aa", 2, "bc"),
    ("up", 2, "bb", 2, "cd"),
    ("up", 2, "x", 2, "e"),
    ("up", 0, "a", 1, "a"),
    ("up", 1, "b", 1, "b"),
    ("up", 3, "a", 9, "e"),
    ("down", "", "", 3, "edc"),
    ("down", "", "", 9, "edcba"),
    ("down", 3, "e", 2, "dc"),
    ("down", 2, "d", 2, "cb"),
    ("down", 2, "b", 2, "a"),
    ("down", 1, "a", 2, ""),
    ("down", 2, "bb", 2, "ba"),
    ("down", 2, "cc", 1, "c"),
    ("down", 9, "a", 1, "e"),
    ("down", 2, "a", 9, "a"),
]


@pytest.mark.parametrize(("direction", "score", "last", "most", "expected"), _PAGES)
async def test_what_follows_a_position(
    stopped: Stopped, direction: str, score: int | str, last: str, most: int, expected: str
) -> None:
    await _indexes(stopped, *_MEMBERS)
    reply = await stopped.call("read_page", direction, score, last, most, "lab", "nothing", "lab")
    found = [
        [part for pair in page for part in (pair if isinstance(pair, list) else [pair])] for page in reply
    ]
    scores = dict(_MEMBERS)
    wanted = [part for member in expected for part in (member, str(scores[member]))]
    assert found == [wanted, [], wanted]
