from __future__ import annotations

from ironforge.queue.backend import RedisQueue
from tests.queue.stopped import Stopped


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


async def test_a_lock_ends_with_its_time(stopped: Stopped) -> None:
    assert await stopped.call("lock", "acquire", "report", "a", 5_000) == 1
    assert 4_000 < await stopped.ttl_ms("lock:report") <= 5_000
    assert await stopped.call("lock", "acquire", "report", "a", 90_000) == 1
    assert 80_000 < await stopped.ttl_ms("lock:report") <= 90_000
    assert await stopped.call("lock", "renew", "report", "a", 5_000) == 1
    assert 4_000 < await stopped.ttl_ms("lock:report") <= 5_000


async def test_words(stopped: Stopped) -> None:
    assert await stopped.call("lock", "release", "report", "a", 0) == 0
    assert await stopped.call("lock", "acquire", "report", "a", 5_000) == 1
    assert await stopped.call("lock", "acquire", "other", "b", 5_000) == 1
    for verb in ("acquire", "renew", "release"):
        assert await stopped.call("lock", verb, "report", "b", 90_000) == 0
    assert await stopped.text("lock:report") == "a" and await stopped.ttl_ms("lock:report") <= 5_000
    assert await stopped.call("lock", "release", "report", "a", 0) == 1
    assert await stopped.text("lock:report") is None and await stopped.text("lock:other") == "b"
