from __future__ import annotations

from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import Lane, dump
from tests.queue.stopped import Stopped


async def test_shown_on_the_job_and_forgotten_at_the_next_claim(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await queue.progress(job.id, job.fence, "0.5")
    assert (await queue.get(job.id)).progress == 0.5
    await lane.settle(job, "released")
    await lane.claim()
    assert (await queue.get(job.id)).progress is None


async def test_refused_under_another_fence(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    before = await dump(queue)
    assert not await queue.progress(job.id, "9:other", "0.5")
    assert await dump(queue) == before
    await lane.settle(job, "completed")
    assert not await queue.progress(job.id, job.fence, "0.5")


async def test_words_and_what_is_kept(stopped: Stopped) -> None:
    fence = await stopped.run("a")
    assert await stopped.call("progress", "a", fence, "0.5") == "ok"
    assert (await stopped.hash("job:a"))["progress"] == "0.5"
    assert await stopped.call("progress", "a", "1:t-b", "0.9") == "refused"
    assert await stopped.call("progress", "nobody", fence, "0.9") == "refused"
    assert await stopped.hash("job:nobody") == {}
    await stopped.call("hand_back", "w-a", "ended", "")
    assert await stopped.call("progress", "a", fence, "0.9") == "refused", (
        "it waits again, under the old fence"
    )
    assert (await stopped.hash("job:a"))["progress"] == "0.5"
