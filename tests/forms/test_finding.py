"""Which master a client finds when its Sentinels are silent, late, behind, or say that it is down. They and the masters are real."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import exceptions as redis_errors

from ironforge.embedded import find_server
from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue import sentinel as under_test
from ironforge.queue.backend import RedisQueue
from ironforge.queue.connection import _one_connection
from ironforge.queue.packing import TcpConnection
from ironforge.queue.sentinel import MasterAway, MasterConnection, MasterFinder
from ironforge.queue.urls import Address
from tests.forms.nodes import Node
from tests.system.processes import free_port
from tests.waiting import eventually, wait_until

DOWN_AFTER_MS = 300


class Scene:
    """Two masters and three Sentinels, who watch what a test tells them to under its own name."""

    def __init__(self, folder: Path) -> None:
        binary = str(find_server()[0])
        self.masters = [Node(folder, binary) for _ in range(2)]
        self.sentinels = [Node(folder, binary, sentinel=True) for _ in range(3)]
        self.late = Node(
            folder,
            binary,
            [
                f"sentinel monitor later 127.0.0.1 {self.masters[1].port} 2",
                "sentinel config-epoch later 7",
            ],
            sentinel=True,
        )

    def everyone(self) -> list[Node]:
        return [*self.masters, *self.sentinels, self.late]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene(tmp_path_factory.mktemp("finding"))
    try:
        for node in scene.everyone():
            node.start(wait=False)
        for node in scene.everyone():
            wait_until(node.answers, 20)
        yield scene
    finally:
        for node in scene.everyone():
            node.stop()


@pytest.fixture
def silent() -> Iterator[Address]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()


@pytest.fixture
async def service(namespace: str) -> AsyncIterator[str]:
    yield namespace
    await eventually(lambda: not _asking(), 0.5, "nobody is asked any more")


def _asking() -> bool:
    return any("MasterFinder._ask(" in str(task) for task in asyncio.all_tasks())


def _watch(sentinel: Node, service: str, port: int, again: bool = False) -> None:
    if again:
        sentinel.ask("SENTINEL", "REMOVE", service)
    sentinel.ask("SENTINEL", "MONITOR", service, "127.0.0.1", port, 2)
    sentinel.ask("SENTINEL", "SET", service, "down-after-milliseconds", DOWN_AFTER_MS)


def _at(*nodes: Node) -> list[Address]:
    return [("127.0.0.1", node.port) for node in nodes]


class Finder(MasterFinder):
    """Notes whom it asked."""

    def __init__(self, sentinels: list[Address], service: str) -> None:
        super().__init__(sentinels, service, self._open)
        self.opened: list[TcpConnection] = []

    async def _open(self, address: Address) -> TcpConnection:
        connection = await _one_connection(address, (None, None), {})
        self.opened.append(connection)
        return connection

    async def looked(self) -> None:
        """Looks again, and is done with it."""
        self.look_again()
        if self._looking:
            await asyncio.wait({self._looking})


async def test_it_is_asked_once_and_every_connection_is_closed(scene: Scene, service: str) -> None:
    _watch(scene.sentinels[0], service, scene.masters[0].port)
    finder = Finder(_at(scene.sentinels[0]), service)
    assert await asyncio.gather(finder.find(), finder.find()) == _at(scene.masters[0]) * 2
    assert len(finder.opened) == 1 and not finder.opened[0].is_connected


async def test_a_majority_that_agrees_is_not_kept_waiting_by_a_silent_one(
    scene: Scene, silent: Address, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "SENTINEL_TIMEOUT_S", 9)
    for sentinel in scene.sentinels[:2]:
        _watch(sentinel, service, scene.masters[0].port)
    began = time.monotonic()
    finder = Finder([silent, *_at(*scene.sentinels[:2])], service)
    assert await finder.find() == _at(scene.masters[0])[0]
    assert time.monotonic() - began < 0.9, "the silent one is given up after a second"


async def test_without_a_majority_those_that_answer_in_time_decide(
    scene: Scene, silent: Address, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "SENTINEL_TIMEOUT_S", 0.3)
    _watch(scene.sentinels[0], service, scene.masters[0].port)
    finder = Finder([silent, *_at(scene.sentinels[0])], service)
    assert await finder.find() == _at(scene.masters[0])[0]


async def test_the_one_that_saw_the_latest_failover_is_believed(scene: Scene) -> None:
    _watch(scene.sentinels[0], "later", scene.masters[0].port)
    for sentinels in ((scene.sentinels[0], scene.late), (scene.late, scene.sentinels[0])):
        assert await Finder(_at(*sentinels), "later").find() == _at(scene.masters[1])[0]
    scene.sentinels[0].ask("SENTINEL", "REMOVE", "later")


async def test_a_master_is_down_when_most_of_them_say_so(scene: Scene, service: str) -> None:
    dead = free_port()
    _watch(scene.sentinels[0], service, dead)
    _watch(scene.sentinels[1], service, dead)
    _watch(scene.sentinels[2], service, scene.masters[0].port)
    for sentinel in scene.sentinels[:2]:
        await eventually(lambda sentinel=sentinel: _says_down(sentinel, service), 10)
    with pytest.raises(MasterAway, match="master is down"):
        await Finder(_at(*scene.sentinels[:2]), service).find()
    one_of_two = Finder(_at(scene.sentinels[0], scene.sentinels[2]), service)
    assert (await one_of_two.find())[1] in (dead, scene.masters[0].port)


async def test_one_that_refuses_us_does_not_hide_what_another_says(
    scene: Scene, service: str, tmp_path: Path
) -> None:
    closed = Node(
        tmp_path,
        str(find_server()[0]),
        ["requirepass x"],
        client_options={"password": "x"},
        sentinel=True,
    )
    try:
        closed.start()
        _watch(scene.sentinels[0], service, scene.masters[0].port)
        finder = Finder(_at(closed, scene.sentinels[0]), service)
        assert await finder.find() == _at(scene.masters[0])[0]
        with pytest.raises(MasterAway, match="refuse the user or password"):
            await Finder(_at(closed), service).find()
        with pytest.raises(MasterAway, match="none of the Sentinels"):
            await Finder([("127.0.0.1", free_port())], service).find()
        with pytest.raises(MasterAway, match="do not know that service"):
            await Finder(_at(scene.sentinels[0]), "unknown").find()
    finally:
        closed.stop()


async def test_one_that_takes_no_connection_is_asked_for_anew_at_once(
    scene: Scene, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "LOOK_AGAIN_S", 1_000.0)
    sentinel, alive = scene.sentinels[0], scene.masters[0]
    _watch(sentinel, service, free_port())
    sentinel.ask("SENTINEL", "SET", service, "down-after-milliseconds", 60_000)
    queue = RedisQueue(f"redis+sentinel://127.0.0.1:{sentinel.port}/{service}", service)
    with pytest.raises(StoreUnavailable):
        await queue.open()
    _watch(sentinel, service, alive.port, again=True)
    async with queue:
        await queue.enqueue(NewJob("greet"))
    await queue.close()


async def test_a_connection_that_breaks_while_it_is_written_to_is_a_master_lost(
    scene: Scene, service: str
) -> None:
    alive = scene.masters[0]
    _watch(scene.sentinels[0], service, alive.port)
    finder = Finder(_at(scene.sentinels[0]), service)
    connection = MasterConnection(finder=finder, driver_info=None, socket_timeout=2)
    await connection.connect()
    alive.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def fails() -> bool:
        try:
            await connection.send_command("PING")
        except redis_errors.ConnectionError:
            return True
        return False

    await eventually(fails, 5, "what is written finds nobody")
    assert finder.epoch == 1 and connection.is_stale
    await connection.disconnect(nowait=True)


def _says_down(sentinel: Node, service: str) -> bool:
    return "s_down" in str(sentinel.ask("SENTINEL", "MASTER", service))


async def test_a_silent_service_keeps_what_is_known_and_is_not_asked_at_every_call(
    scene: Scene, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _watch(scene.sentinels[0], service, scene.masters[0].port)
    finder = Finder(_at(scene.sentinels[0]), service)
    await finder.looked()
    assert not finder.opened, "nothing is known yet, so that there is nothing to look at again"
    found = await finder.find()
    await finder.looked()
    assert len(finder.opened) == 1, "it was just asked"
    scene.sentinels[0].ask("SENTINEL", "REMOVE", service)
    finder._asked_at = 0.0
    await finder.looked()
    await finder.looked()
    assert len(finder.opened) == 2 and finder.epoch == 0 and await finder.find() == found


async def test_one_look_at_a_time_and_one_that_is_broken_off_is_no_error(
    scene: Scene, silent: Address, service: str, caplog: pytest.LogCaptureFixture
) -> None:
    _watch(scene.sentinels[0], service, scene.masters[0].port)
    finder = Finder(_at(scene.sentinels[0]), service)
    await finder.find()
    finder._sentinels, finder._asked_at = [silent], 0.0
    finder.look_again()
    looking = finder._looking
    finder.look_again()
    assert looking and finder._looking is looking
    looking.cancel()
    await asyncio.wait({looking})
    await eventually(lambda: finder._looking is None)

    async def fails(_: Address) -> TcpConnection:
        raise ValueError("a mistake of ours")

    finder._connect = fails
    await finder.looked()
    await eventually(lambda: finder._looking is None)
    gc.collect()  # an error that nobody asked for would be told here
    assert caplog.text == ""


async def test_a_master_that_was_replaced_while_it_lives_is_left(
    scene: Scene, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on taking writes: nothing fails, and they would be lost."""
    monkeypatch.setattr(under_test, "LOOK_AGAIN_S", 0.0)
    old, new = scene.masters
    _watch(scene.sentinels[0], service, old.port)
    async with RedisQueue(
        f"redis+sentinel://127.0.0.1:{scene.sentinels[0].port}/{service}", service
    ) as queue:
        first = await queue.enqueue(NewJob("greet"))
        assert old.ask("EXISTS", queue.keys.job(first.id))
        _watch(scene.sentinels[0], service, new.port, again=True)

        async def is_there() -> bool:
            job = await queue.enqueue(NewJob("greet"))
            return bool(new.ask("EXISTS", queue.keys.job(job.id)))

        await eventually(is_there, 10, "writes reach the new master")


async def test_one_that_refuses_writes_is_asked_for_anew_at_once(
    scene: Scene, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "LOOK_AGAIN_S", 1_000.0)
    old, new = scene.masters
    _watch(scene.sentinels[0], service, old.port)
    async with RedisQueue(
        f"redis+sentinel://127.0.0.1:{scene.sentinels[0].port}/{service}", service
    ) as queue:
        await queue.enqueue(NewJob("greet"))
        _watch(scene.sentinels[0], service, new.port, again=True)
        old.ask("REPLICAOF", "127.0.0.1", new.port)
        try:
            with pytest.raises(StoreUnavailable):
                await queue.enqueue(NewJob("greet"))
            job = await queue.enqueue(NewJob("greet"))
            assert new.ask("EXISTS", queue.keys.job(job.id))
        finally:
            old.ask("REPLICAOF", "NO", "ONE")


async def test_an_old_connection_that_fails_says_nothing_of_what_is_known_now(
    scene: Scene, service: str
) -> None:
    _watch(scene.sentinels[0], service, scene.masters[0].port)
    finder = Finder(_at(scene.sentinels[0]), service)
    await finder.find()
    finder.forget(0)
    await finder.find()
    finder.forget(0)
    await finder.find()
    assert (finder.epoch, len(finder.opened)) == (1, 2)
