from __future__ import annotations

from ironforge.queue.backend import RedisQueue


async def test_a_confirmed_record_is_done_and_keeps_its_window(queue: RedisQueue) -> None:
    assert await queue.shards[0].call("reserve", "key", "hash", "id-1") == [b"new", b"id-1"]
    assert await queue.shards[0].call("reserve", "key", "hash", "id-2") == [b"pending", b"id-1"]
    await queue.client.pexpire(queue.keys.idempotency("key"), 50_000)
    await queue.shards[0].call("confirm", "key", "hash", "id-1")
    assert await queue.shards[0].call("reserve", "key", "hash", "id-2") == [b"done", b"id-1"]
    assert 40_000 < await queue.client.pttl(queue.keys.idempotency("key")) <= 50_000


async def test_a_record_that_ran_out_is_not_made_again(queue: RedisQueue) -> None:
    await queue.shards[0].call("confirm", "key", "hash", "id-1")
    assert not await queue.client.exists(queue.keys.idempotency("key"))
