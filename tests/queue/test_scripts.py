from __future__ import annotations

import re
from pathlib import Path

import pytest

import ironforge.queue
from ironforge.job import NewJob
from ironforge.queue import keys
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Settlement
from ironforge.queue.scripts import script
from tests.queue.state import Lane

LUA = Path(ironforge.queue.__file__).parent / "lua"
NAMES = sorted(path.stem for path in LUA.glob("[a-z]*.lua"))


@pytest.mark.parametrize("name", NAMES)
def test_only_enqueue_may_be_refused_for_memory(name: str) -> None:
    first = script(name).text.splitlines()[0]
    assert (b"allow-oom" not in first) == (name == "enqueue")


@pytest.mark.parametrize("name", NAMES)
def test_what_only_reads_says_so(name: str) -> None:
    """It is answered also by a Redis that refuses changes."""
    first = script(name).text.splitlines()[0]
    assert (b"no-writes" in first) == name.startswith(("read_", "inspect_"))


@pytest.mark.parametrize("path", sorted(LUA.glob("*.lua")), ids=lambda path: path.stem)
def test_no_script_reads_user_json_or_scans(path: Path) -> None:
    text = path.read_text()
    for forbidden in ("cjson", "'KEYS'", "'LREM'", "'HKEYS'", "'SCAN'"):
        assert forbidden not in text


def test_the_buckets_of_lua_and_python_are_the_same() -> None:
    found = re.search(r"BUCKETS_MS = \{(.+?)\}", (LUA / "_prelude.lua").read_text())
    assert found
    assert tuple(int(bound) for bound in found[1].split(",")) == keys.BUCKETS_MS


def test_shards_spread_evenly_over_the_slots_of_a_cluster() -> None:
    from binascii import crc_hqx

    for shards in (1, 3, 16):
        slots = [crc_hqx(keys.shard_tag(at, shards).encode(), 0) % 16384 for at in range(shards)]
        assert [slot * shards // 16384 for slot in slots] == list(range(shards))


async def test_a_claim_comes_after_the_settlements_of_its_turn_also_on_a_new_server(
    queue: RedisQueue,
) -> None:
    """With its settlement made last, a suspect would still be there, and the next one would have to wait for it."""
    await queue.enqueue_many([NewJob("greet"), NewJob("greet")])
    for wid in ("a", "b"):
        lane = await Lane(queue, wid).register()
        assert len(await lane.claim(2)) == 2
        await queue.hand_back(wid, "crashed", {})
    lane = await Lane(queue, "c").register()
    (first,) = await lane.claim(2)
    await queue.client.script_flush()
    async with RedisQueue(queue.url, queue.namespace) as other:
        await other.shards[0].load_scripts(["claim"])
        reply = await Lane(other, "c").turn(2, Settlement(first.id, first.fence, "completed"), token="later")
    assert reply.settled == ["ok"] and len(reply.jobs) == 1
