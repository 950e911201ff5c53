from __future__ import annotations

from ironforge.queue.backend import RedisQueue
from tests.queue.stopped import Stopped
from tests.waiting import eventually


async def test_one_of_many_takes_it_and_another_the_next(queue: RedisQueue) -> None:
    assert [await queue.take_tick("reap", 300) for _ in range(3)] == [True, False, False]
    assert await queue.take_tick("trim", 300), "another duty is another tick"
    await eventually(lambda: queue.take_tick("reap", 300), 2, "the next tick")


async def test_one_taken_before_the_clock_ran_back_does_not_count(queue: RedisQueue) -> None:
    """It would hold up all maintenance for as long as the clock ran back."""
    await queue.client.set(queue.keys.tick("reap"), "1", px=3_600_000)
    assert [await queue.take_tick("reap", 900) for _ in range(2)] == [True, False]
    assert await queue.client.pttl(queue.keys.tick("reap")) <= 900


async def test_one_without_an_end_does_not_count(queue: RedisQueue) -> None:
    await queue.client.set(queue.keys.tick("reap"), "1")
    assert [await queue.take_tick("reap", 900) for _ in range(2)] == [True, False]


async def test_words(stopped: Stopped) -> None:
    assert [await stopped.call("take_tick", "reap", 60_000) for _ in range(2)] == [1, 0]
    assert 50_000 < await stopped.ttl_ms("tick:reap") <= 60_000
