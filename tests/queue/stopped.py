"""Scripts called one by one while their clock stands still: what they answer and write can be told to the millisecond."""

from __future__ import annotations

import time
from hashlib import sha1
from typing import Any

from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import SLOT_MS
from ironforge.queue.readings import Settlement, Turn
from ironforge.queue.scripts import Script, script

_EPOCH_US = 1_577_836_800_000_000  # 2020-01-01
_BAND = 2**51
# A script, then how long a key lasts, and the server's time before and after.
_TIMED = """%s
local function script_() %s
end
local function ms_()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local before = ms_()
script_()
local left = redis.call('PTTL', KEYS[1] .. '%s')
return { before, left, ms_() }
"""


class Stopped:
    """A queue of one shard. Time goes on only by `later`, for the queue's own methods too.

    Replies and states come as text and numbers; keys are named without the prefix.
    """

    def __init__(self, queue: RedisQueue) -> None:
        self._queue = queue
        (self.shard,) = queue.shards
        self.shard.script = self._script  # type: ignore[method-assign]
        # Near the server's own time, so that what is over in an hour is there; with microseconds that do not round away.
        self.now_us = int(time.time() * 1000) // SLOT_MS * SLOT_MS * 1000 + 5_000_789

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    def later(self, ms: float) -> None:
        self.now_us += round(ms * 1000)

    async def call(self, name: str, *arguments: Any) -> Any:
        """A script's reply."""
        text = self._script(name).text
        return _plain(await self._do("EVAL", text, 1, self.shard.keys.prefix, *arguments))

    async def hash(self, key: str) -> dict[str, str]:
        found = _plain(await self._do("HGETALL", self._key(key)))
        return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))

    async def scores(self, key: str) -> dict[str, float]:
        found = _plain(await self._do("ZRANGE", self._key(key), 0, -1, "WITHSCORES"))
        flat = [part for pair in found for part in pair] if found and isinstance(found[0], list) else found
        return {flat[at]: float(flat[at + 1]) for at in range(0, len(flat), 2)}

    async def members(self, key: str) -> set[str]:
        return set(_plain(await self._do("SMEMBERS", self._key(key))))

    async def text(self, key: str) -> str | None:
        return _plain(await self._do("GET", self._key(key)))

    async def ttl_ms(self, key: str) -> int:
        return await self._do("PTTL", self._key(key))

    async def lasts_ms(self, key: str, name: str, *arguments: Any) -> int:
        """How long a key lasts that a script makes: tried until all of it was in one millisecond of the server's."""
        flags, text = self._script(name).text.decode().split("\n", 1)
        code = _TIMED % (flags, text, key)
        for _ in range(1_000):
            await self.put(key, "DEL")
            before, left, after = await self._do("EVAL", code, 1, self.shard.keys.prefix, *arguments)
            if before == after:
                return left
        raise AssertionError("the server is too slow for its milliseconds")

    async def server_ms(self) -> int:
        return await self._queue.now_ms()

    async def put(self, key: str, *command: Any) -> Any:
        """A command on a key of the shard, for what no script would do: `put("job:j", "HSET", "lapses", 3)`."""
        return await self._do(command[0], self._key(key), *command[1:])

    # The scripts that most tests need, with arguments that most of them do not care about.

    async def enqueue(
        self,
        job_id: str,
        queue: str = "mail",
        *,
        rank: int = 2,
        when: str = "now",
        ms: int = 0,
        **fields: Any,
    ) -> list[Any]:
        if rank != 2:
            fields["priority"] = rank
        flat = [part for pair in fields.items() for part in pair]
        return await self.call("enqueue", 1, job_id, queue, "greet", rank, when, ms, len(flat), *flat)

    async def register(self, wid: str = "w", lease_ms: int = 15_000) -> str:
        return await self.call("register", wid, lease_ms, "host", "h")

    async def claim(
        self, *queues: str, wid: str = "w", lane: int = 0, token: str = "t", n: int = 1, limit: int = 200
    ) -> list[Any]:
        return await self.call("claim", wid, lane, token, n, limit, *(queues or ("mail",)))

    async def settle(self, job_id: str, outcome: Any, *, fence: str = "1:t", **more: Any) -> str:
        settlement = Settlement(job_id, fence, outcome, **{"fingerprint": "f", **more})
        return (await self._queue.turn(Turn("", 0, "", 0, (), [settlement]))).settled[0]

    async def run(self, job_id: str, queue: str = "mail", **fields: Any) -> str:
        """A job that runs, alone in its queue, on a worker of its own; its fence."""
        wid, token = f"w-{job_id}", f"t-{job_id}"
        await self.enqueue(job_id, queue, **fields)
        await self.register(wid)
        await self.claim(queue, wid=wid, token=token)
        fence = (await self.hash(f"job:{job_id}"))["fence"]
        assert fence == f"1:{token}"
        return fence

    def sequence(self, us: int | None = None) -> int:
        """The sequence of a job queued at that time (now)."""
        return (self.now_us if us is None else us) - _EPOCH_US

    def place(self, rank: int = 2, us: int | None = None) -> int:
        """The score of a queued job."""
        return rank * _BAND + self.sequence(us)

    async def version(self, queue: str = "mail") -> int:
        """How often the lists of a queue changed, as consoles see it."""
        return (await self.call("read_queues", queue))[1][1]

    async def woken(self, queue: str = "mail") -> bool:
        """Whether the queue's mark is set. Takes it."""
        found = _plain(await self._do("ZPOPMIN", self._key(f"q:{queue}:wake")))
        assert not found or str(found).count("ready") == 1
        return bool(found)

    def _script(self, name: str) -> Script:
        text = script(name).text.decode()
        assert text.count("redis.call('TIME')") == 1
        clock = f"{{ '{self.now_us // 1_000_000}', '{self.now_us % 1_000_000}' }}"
        encoded = text.replace("redis.call('TIME')", clock).encode()
        return Script(name, encoded, sha1(encoded, usedforsecurity=False).hexdigest())

    def _key(self, key: str) -> str:
        return self.shard.keys.prefix + key

    async def _do(self, *command: Any) -> Any:
        client: Any = self.shard.client
        return await client.execute_command(*command)


def _plain(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return reply.decode()
    if isinstance(reply, dict):
        return {_plain(key): _plain(value) for key, value in reply.items()}
    return [_plain(part) for part in reply] if isinstance(reply, list | tuple | set) else reply
