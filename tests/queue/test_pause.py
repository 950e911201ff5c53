from __future__ import annotations

import pytest

from ironforge.errors import QueueNotFound
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue


async def test_a_pause_keeps_its_first_time_and_a_resume_ends_it(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet", queue="mail"))
    await queue.pause("mail")
    since = (await queue.read_queue("mail")).paused_ms
    await queue.pause("mail")
    assert since is not None and (await queue.read_queue("mail")).paused_ms == since
    await queue.resume("mail")
    assert (await queue.read_queue("mail")).paused_ms is None


async def test_a_paused_queue_wakes_nobody_until_it_is_resumed(queue: RedisQueue) -> None:
    await queue.pause("default")
    await queue.enqueue(NewJob("greet"))
    assert await queue.wait_for_wake(["default"], 0.05) is None
    await queue.resume("default")
    assert await queue.wait_for_wake(["default"], 0.5) == "default"


async def test_only_queues_that_exist(queue: RedisQueue) -> None:
    with pytest.raises(QueueNotFound):
        await queue.pause("nobody")
    assert [reading.name for reading in await queue.read_queues()] == ["default"]
