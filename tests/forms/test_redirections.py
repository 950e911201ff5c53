"""Commands and pipelines of a Cluster's client, led from node to node. Two real masters, which share the slots but a few."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from redis import exceptions as redis_errors
from redis.crc import key_slot

from ironforge.embedded import find_server
from ironforge.queue.cluster import ClusterClient, SlotMoving
from ironforge.queue.connection import make_client
from tests.forms.nodes import Node
from tests.system.processes import free_port
from tests.waiting import wait_until

NOBODYS = 16_383  # nobody serves it
HALF = 8_192


class Halves:
    def __init__(self, folder: Path) -> None:
        options = ["cluster-enabled yes", "cluster-require-full-coverage no", "cluster-node-timeout 5000"]
        self.nodes = [
            Node(folder, str(find_server()[0]), [*options, f"cluster-port {free_port()}"]) for _ in range(2)
        ]

    def start(self) -> None:
        for node in self.nodes:
            node.start(wait=False)
        for epoch, node in enumerate(self.nodes, 1):
            wait_until(node.answers, 20)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        one, other = self.nodes
        one.ask("CLUSTER", "ADDSLOTSRANGE", 0, HALF - 1)
        other.ask("CLUSTER", "ADDSLOTSRANGE", HALF, NOBODYS - 1)
        bus = other.ask("CONFIG", "GET", "cluster-port")["cluster-port"]
        one.ask("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
        wait_until(lambda: all(len(node.ask("CLUSTER", "SLOTS")) == 2 for node in self.nodes), 20)
        wait_until(lambda: all("cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.nodes), 20)

    def moves(self, slot: int, source: Node, to: Node) -> None:
        """Its keys are to follow, one by one."""
        ids = {node: node.ask("CLUSTER", "MYID") for node in self.nodes}
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to])

    def moved(self, slot: int, to: Node) -> None:
        for node in (to, *self.nodes):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", to.ask("CLUSTER", "MYID"))


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Halves]:
    halves = Halves(tmp_path_factory.mktemp("halves"))
    try:
        halves.start()
        yield halves
    finally:
        for node in halves.nodes:
            node.stop()


def _url(*nodes: Node) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


@pytest.fixture
async def client(halves: Halves) -> AsyncIterator[ClusterClient]:
    async with _opened(_url(*halves.nodes)) as client:
        yield client


def _opened(url: str) -> aclosing[Any]:
    client: Any = make_client(url)
    return aclosing(client)


def _key(word: str, low: bool, salt: str) -> str:
    """A key of one half or of the other."""
    return next(
        key
        for key in (f"{{{word}{salt}{at}}}" for at in range(1_000))
        if (key_slot(key.encode()) < HALF) == low and key_slot(key.encode()) != NOBODYS
    )


async def test_each_command_and_each_part_of_a_pipeline_finds_its_node(
    client: ClusterClient, namespace: str
) -> None:
    low, high = _key("a", True, namespace), _key("a", False, namespace)
    pipe = client.pipeline(transaction=False)
    for key in (low, high, low):
        pipe.execute_command("INCR", key)
    assert await pipe.execute() == [1, 1, 2]
    assert await client.execute_command("GET", high) == b"1"


async def test_a_slot_that_nobody_serves_is_told(client: ClusterClient) -> None:
    key = next(f"k{at}" for at in range(200_000) if key_slot(f"k{at}".encode()) == NOBODYS)
    with pytest.raises(redis_errors.ClusterDownError):
        await client.execute_command("GET", key)


async def test_the_map_is_learnt_once_however_many_wait_for_it(
    client: ClusterClient, halves: Halves, namespace: str
) -> None:
    for node in halves.nodes:
        node.ask("CONFIG", "RESETSTAT")
    await asyncio.gather(*(client.execute_command("GET", f"{namespace}{at}") for at in range(20)))
    stats = [str(node.ask("INFO", "commandstats")) for node in halves.nodes]
    assert sum("cluster|slots" in one for one in stats) == 1
    assert any("cluster|slots': {'calls': 1," in one for one in stats)


async def test_seeds_that_are_gone_are_passed_over_and_none_at_all_is_told(halves: Halves) -> None:
    gone = f"127.0.0.1:{free_port()}"
    async with _opened(f"redis+cluster://{gone},127.0.0.1:{halves.nodes[0].port}") as some:
        assert await some.execute_command("GET", "a") is None
    async with _opened(f"redis+cluster://{gone}") as none:
        with pytest.raises(redis_errors.ConnectionError):
            await none.execute_command("GET", "a")


async def test_a_wrong_password_is_told_as_such_whatever_the_next_seed_does(halves: Halves) -> None:
    node = halves.nodes[0]
    node.ask("ACL", "SETUSER", "other", "on", ">right", "~*", "+@all")
    url = f"redis+cluster://other:wrong@127.0.0.1:{node.port},127.0.0.1:{free_port()}"
    async with _opened(url) as wrong:
        with pytest.raises(redis_errors.AuthenticationError):
            await wrong.execute_command("GET", "a")


async def test_while_a_slot_moves(client: ClusterClient, halves: Halves, namespace: str) -> None:
    """What is there already is asked for there; scripts, blocking calls and transactions wait."""
    one, other = halves.nodes
    key = _key("m", True, namespace)
    slot = key_slot(key.encode())
    halves.moves(slot, one, other)  # it has no key: everything of it is to be there
    try:
        assert await client.execute_command("GET", key) is None
        pipe = client.pipeline(transaction=False)
        pipe.execute_command("SET", key, "1")
        pipe.execute_command("LPUSH", key, "1")
        pipe.execute_command("EVAL", "return 1", 1, key)
        ok, wrong, script = await pipe.execute(raise_on_error=False)
        assert ok in (True, b"OK") and isinstance(wrong, redis_errors.ResponseError)
        assert isinstance(script, SlotMoving)
        for command in (("EVAL", "return 1", 1, key), ("BZPOPMIN", key, 1)):
            with pytest.raises(SlotMoving):
                await client.execute_command(*command)
        transaction = client.pipeline(transaction=True)
        transaction.execute_command("SET", key + "x", "1")
        with pytest.raises(redis_errors.TryAgainError):
            await transaction.execute()
    finally:
        halves.moved(slot, other)
    assert await client.execute_command("GET", key) == b"1"  # MOVED, by a map that is old


async def test_a_command_follows_what_was_moved(
    client: ClusterClient, halves: Halves, namespace: str
) -> None:
    one, other = halves.nodes
    key = _key("c", True, namespace)
    slot = key_slot(key.encode())
    await client.execute_command("GET", key)
    halves.moves(slot, one, other)
    halves.moved(slot, other)
    count = "return redis.call('INCR', KEYS[1])"
    assert await client.execute_command("EVAL", count, 1, key) == 1  # where it is for good, scripts run
    assert other.ask("GET", key) == "1"
    assert await client.topology.owner(slot) == ("127.0.0.1", other.port)


async def test_what_was_answered_is_not_sent_again(
    client: ClusterClient, halves: Halves, namespace: str
) -> None:
    one, _ = halves.nodes
    one.ask("CONFIG", "RESETSTAT")
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("ECHO", "once")
    pipe.execute_command("GET", _key("e", True, namespace))
    await pipe.execute()
    assert one.ask("INFO", "commandstats")["cmdstat_echo"]["calls"] == 1


async def test_what_has_no_key_goes_home(client: ClusterClient, halves: Halves, namespace: str) -> None:
    """Without a home of its own, a client's is the first that was asked for; a scan is then of all masters."""
    keys = [_key("s", True, namespace), _key("s", False, namespace)]
    pattern = f"*{namespace}*"
    for node, key in zip(halves.nodes, keys, strict=True):
        node.ask("SET", key, "1")
    homes = [client.at(key) for key in keys]
    found = {key.decode() async for key in client.scan_iter(match=pattern)}
    assert found == set(keys), "also when it is the first thing that it is asked"
    for home, key in zip(homes, keys, strict=True):
        assert [one.decode() async for one in home.scan_iter(match=pattern)] == [key]
        assert home.slot_of(("TIME",)) == key_slot(key.encode())
    assert client.slot_of(("TIME",)) == key_slot(keys[0].encode())


async def test_a_pipeline_follows_what_was_moved_and_the_map_is_put_right(
    client: ClusterClient, halves: Halves, namespace: str
) -> None:
    one, other = halves.nodes
    key = _key("p", True, namespace)
    slot = key_slot(key.encode())
    await client.execute_command("GET", key)
    halves.moves(slot, one, other)
    halves.moved(slot, other)
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("PING")
    pipe.execute_command("SET", key, "1")
    pipe.execute_command("GET", key)
    assert (await pipe.execute())[2] == b"1"
    assert await client.topology.owner(slot) == ("127.0.0.1", other.port)


async def test_a_node_that_is_lost_is_asked_last_and_the_map_is_learnt_anew(
    client: ClusterClient, halves: Halves, namespace: str
) -> None:
    key = _key("l", True, namespace)
    for send in (_alone, _in_a_pipeline):
        await send(client, key)
        topology: Any = client.topology
        assert not topology._stale
        topology._owners = [("127.0.0.1", free_port())] * len(topology._owners)
        with pytest.raises(redis_errors.ConnectionError):
            await send(client, key)
        await send(client, key)


async def _alone(client: ClusterClient, key: str) -> None:
    await client.execute_command("GET", key)


async def _in_a_pipeline(client: ClusterClient, key: str) -> None:
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("GET", key)
    await pipe.execute()
