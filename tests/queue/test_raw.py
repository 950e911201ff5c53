from __future__ import annotations

from ironforge.queue.backend import RedisQueue
from tests.queue.state import dump
from tests.queue.stopped import Stopped


async def test_it_leaves_a_hash_and_an_entry_a_number_and_all_of_it_can_be_removed(queue: RedisQueue) -> None:
    await queue.shards[0].raw_round_trips(3)
    state = await dump(queue)
    assert set(state["q:raw:b"]) == {"0", "1", "2"} and "q:raw:a" not in state
    assert state["job:raw-0"] == {"kind": "raw", "status": "completed"}
    await queue.remove_namespace()
    assert await dump(queue) == {}


async def test_what_it_leaves_to_the_millisecond(stopped: Stopped) -> None:
    assert await stopped.call("raw", 7) == "ok"
    assert await stopped.scores("q:raw:b") == {"7": stopped.now_ms}
    assert await stopped.scores("q:raw:a") == {} and await stopped.put("job:raw-7", "HLEN") == 2
    for key in ("q:raw:b", "job:raw-7"):
        await stopped.put(key, "DEL")
