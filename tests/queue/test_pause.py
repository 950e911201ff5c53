from __future__ import annotations

import pytest

from ironforge.errors import QueueNotFound
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.stopped import Stopped


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


async def test_what_it_writes_and_that_lists_changed(stopped: Stopped) -> None:
    await stopped.enqueue("a")
    version = await stopped.version()
    assert await stopped.call("pause", "mail", "pause", "", "") == "done"
    assert (await stopped.call("read_queues", "mail"))[1][0] == str(stopped.now_ms)
    assert await stopped.version() == version + 1
    assert await stopped.call("pause", "mail", "resume", "", "") == "done"
    assert await stopped.version() == version + 2


async def test_a_resume_wakes_for_jobs_and_for_suspects_and_for_nothing_else(stopped: Stopped) -> None:
    async def resumed_wakes() -> bool:
        await stopped.woken()
        await stopped.call("pause", "mail", "pause", "", "")
        await stopped.call("pause", "mail", "resume", "", "")
        return await stopped.woken()

    await stopped.enqueue("later", when="in", ms=60_000)
    assert not await resumed_wakes()
    await stopped.put("job:later", "HSET", "crashes", 2)
    await stopped.call("run", "later", "", "")
    assert await resumed_wakes(), "a suspect waits"
    await stopped.enqueue("a")
    assert await resumed_wakes(), "both"
    await stopped.call("delete", "later", "", "")
    assert await resumed_wakes(), "a job waits"


async def test_default_can_be_paused_before_it_was_ever_used(stopped: Stopped) -> None:
    assert await stopped.call("pause", "nobody", "pause", "", "") == "missing"
    assert await stopped.call("pause", "default", "pause", "", "") == "done"
    assert await stopped.members("queues") == {"default"}


async def test_under_a_key_it_acts_once(stopped: Stopped) -> None:
    await stopped.enqueue("a")
    assert await stopped.call("pause", "mail", "pause", "key", "hash") == "done"
    await stopped.call("pause", "mail", "resume", "", "")
    assert await stopped.call("pause", "mail", "pause", "key", "hash") == "done"
    assert (await stopped.call("read_queues", "mail"))[1][0] == "", "it was resumed since"
    assert await stopped.call("pause", "mail", "pause", "key", "other") == "key_conflict"
