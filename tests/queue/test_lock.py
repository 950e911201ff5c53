from __future__ import annotations

from ironforge.queue.backend import RedisQueue


async def test_one_holder_at_a_time(queue: RedisQueue) -> None:
    assert await queue.lock_acquire("report", "a", 5_000)
    assert not await queue.lock_acquire("report", "b", 5_000)
    assert await queue.lock_acquire("report", "a", 5_000), "sent again by its holder"
    assert not await queue.lock_release("report", "b")
    assert await queue.lock_release("report", "a")
    assert await queue.lock_acquire("report", "b", 5_000)


async def test_renewed_by_its_holder_only(queue: RedisQueue) -> None:
    await queue.lock_acquire("report", "a", 5_000)
    assert await queue.lock_renew("report", "a", 60_000)
    assert await queue.client.pttl(queue.keys.prefix + "lock:report") > 50_000
    assert not await queue.lock_renew("report", "b", 60_000)
    assert not await queue.lock_renew("other", "a", 60_000)
