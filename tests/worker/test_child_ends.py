"""With which code the process of a worker ends, and what it says then. Its lanes are not run: they end here as they may."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator

import pytest

from ironforge import Forge, Worker
from ironforge.errors import LeaseLost, StoreUnavailable
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import WorkerInfo
from ironforge.worker import child, control
from ironforge.worker.board import Board
from ironforge.worker.crew import Crew
from tests.redis_server import RedisServer, private_redis

Serve = Callable[[Crew], Awaitable[None]]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with private_redis() as server:
        yield server


class Ends(Exception):
    """In the place of the end of this very process."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Serve], Awaitable[int]]]:
    ours, theirs = socket.socketpair()
    board = Board.make(2)
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ends

    async def code_of(url: str, serve: Serve) -> int:
        monkeypatch.setattr(Crew, "serve", serve)
        monkeypatch.setattr(child.os, "_exit", end)
        order = control.ChildOrder(
            theirs.fileno(), board.fd, "m:f", 2, ("default",), 1.0, 1.0, "info", "json"
        )
        run = child._serve_and_exit  # pyright: ignore[reportPrivateUsage]
        loop = asyncio.get_running_loop()
        with pytest.raises(Ends):
            await run(Forge(url, namespace="ends"), "w1", order, theirs, board)
        loop.remove_reader(theirs)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        monkeypatch.undo()
        return codes[0]

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield code_of
    for number, handler in before.items():
        signal.signal(number, handler)
    board.close()
    ours.close()
    theirs.close()


async def _serves(crew: Crew) -> None:
    pass


async def _loses_its_lease(crew: Crew) -> None:
    raise LeaseLost("w1")


async def _leaves_without_redis(crew: Crew) -> None:
    raise StoreUnavailable("away")


async def _fails(crew: Crew) -> None:
    raise KeyError("a mistake of ours")


@pytest.mark.parametrize(
    ("serve", "code", "words"),
    [
        (_serves, control.DONE, ""),
        (_loses_its_lease, control.LEASE_LOST, "this process is replaced"),
        (_leaves_without_redis, control.DONE, "stopped while Redis was away"),
        (_fails, 1, "this worker process failed"),
    ],
)
async def test_each_end_has_its_code(
    ends: Callable[[str, Serve], Awaitable[int]],
    redis_url: str,
    serve: Serve,
    code: int,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await ends(redis_url, serve) == code
    assert words in caplog.text
    assert ("Traceback" in caplog.text) == (code == 1)


@pytest.mark.parametrize("leaving_anyway", [False, True])
async def test_its_registration_ends_with_it_unless_it_leaves_jobs_behind(
    ends: Callable[[str, Serve], Awaitable[int]], server: RedisServer, leaving_anyway: bool
) -> None:
    """Those go back by a hand-back, which needs to know whose they were."""

    async def leaves(crew: Crew) -> None:
        crew.leaving_anyway = leaving_anyway

    async with RedisQueue(server.url, "ends") as queue:
        assert await queue.register("w1", WorkerInfo("host", 1, 1, "0.1.0", ("default",), 2))
        assert await ends(server.url, leaves) == control.DONE
        assert [worker.id for worker in await queue.workers()] == ["w1"] * leaving_anyway


async def test_with_redis_away_it_leaves_its_registration_to_others(
    ends: Callable[[str, Serve], Awaitable[int]], server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def ends_with_its_redis(crew: Crew) -> None:
        server.kill()

    assert await ends(server.url, ends_with_its_redis) == control.DONE
    assert "failed" not in caplog.text


async def test_a_program_whose_redis_is_away_at_a_stop_is_told_so_and_goes_on(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    forge = Forge(redis_url, namespace=namespace)
    worker = Worker(forge)

    async def leaves(crew: Crew) -> None:
        worker.stop()
        raise StoreUnavailable("away")

    monkeypatch.setattr(Crew, "serve", leaves)
    with caplog.at_level(logging.WARNING, "ironforge.worker"):
        await asyncio.wait_for(worker.serve(), 10)
    assert "stopped while Redis was away" in caplog.text
    await forge.aclose()


async def test_a_program_stopped_before_it_is_registered_does_not_begin(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge = Forge(server.url, namespace="ends")
    worker = Worker(forge)
    register = RedisQueue.register
    began = asyncio.Event()

    async def finds_redis_gone(self: RedisQueue, wid: str, info: WorkerInfo, lease_ms: int = 15_000) -> bool:
        server.kill()
        began.set()
        return await register(self, wid, info, lease_ms)

    async def never(crew: Crew) -> None:
        pytest.fail("it began")

    monkeypatch.setattr(RedisQueue, "register", finds_redis_gone)
    monkeypatch.setattr(Crew, "serve", never)
    serving = asyncio.create_task(worker.serve())
    await asyncio.wait_for(began.wait(), 10)
    worker.stop()
    await asyncio.wait_for(serving, 5)
    await forge.aclose()


def test_without_uvloop_it_runs_on_the_loop_of_the_language() -> None:
    program = (
        "import asyncio, sys\n"
        "sys.modules['uvloop'] = None\n"
        "from ironforge.worker.loops import run_loop\n"
        "async def main(): return type(asyncio.get_running_loop()).__module__\n"
        "print(run_loop(main()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout.split(".")[0]) == (0, "asyncio"), done.stderr
