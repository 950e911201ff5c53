"""Jobs that run on a worker by the books only: released at the second look, never at the first, never what it knows of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Settlement
from ironforge.worker.lane import Lane as WorkerLane
from ironforge.worker.strays import Strays
from tests.queue.state import Lane, check_books


async def test_a_stray_is_released_at_the_second_look_and_charged_nothing(queue: RedisQueue) -> None:
    """Between two looks a claim may arrive whose answer is still on its way."""
    lane = await Lane(queue).register()
    job = await queue.enqueue(NewJob("greet"))
    await lane.claim()
    strays = Strays(queue, lane.wid, lambda _id, _fence: False)
    await strays.look()
    assert (await queue.get(job.id)).status is JobStatus.RUNNING
    await strays.look()
    found = await queue.get(job.id)
    assert (found.status, found.retry_count, found.crashes, found.lapses) == (JobStatus.QUEUED, 0, 0, 0)
    await check_books(queue)


async def test_one_that_was_claimed_again_between_two_looks_is_a_suspect_anew(queue: RedisQueue) -> None:
    lane = await Lane(queue).register()
    await queue.enqueue(NewJob("greet"))
    (first,) = await lane.claim()
    strays = Strays(queue, lane.wid, lambda _id, _fence: False)
    await strays.look()
    await lane.settle(first, "released")
    (second,) = await lane.claim()
    await strays.look()
    assert (await queue.get(second.id)).status is JobStatus.RUNNING, "under another fence"


async def test_what_the_worker_knows_of_is_no_stray(queue: RedisQueue) -> None:
    lane = await Lane(queue).register()
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    strays = Strays(queue, lane.wid, lambda job_id, fence: (job_id, fence) == (job.id, job.fence))
    for _ in range(3):
        await strays.look()
    assert (await queue.get(job.id)).status is JobStatus.RUNNING


def test_a_lane_knows_what_it_has_not_been_answered_about() -> None:
    lane = WorkerLane(0, 2, SimpleNamespace(wid="w"), None, None)  # type: ignore[arg-type]
    parts: Any = lane
    assert not lane.settles("a", "1:t")
    parts._ended = [Settlement("a", "1:t", "completed")]
    assert lane.settles("a", "1:t") and not lane.settles("b", "1:t")
    parts._ended, parts._under_way = (
        [],
        SimpleNamespace(token="9.abc", settlements=[Settlement("c", "1:t", "dead")]),
    )
    assert lane.settles("c", "1:t"), "its settlement is on its way"
    assert lane.settles("d", "3:9.abc"), "its claim is on its way"
    assert not lane.settles("d", "3:8.abc")
