"""The process that keeps the lease of a program: goodbyes that nobody hears, a Redis that is away, and whom an end charges."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ironforge.embedded import find_server
from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.worker import keeper as under_test
from ironforge.worker.board import Board
from ironforge.worker.keeper import Keeper
from tests.queue.state import Lane, check_books
from tests.redis_server import RedisServer
from tests.waiting import eventually


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board.make(2)
    board.turned(time.monotonic())
    yield board
    board.close()


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), str(find_server()[0]))
        yield server
        server.stop()


def _end(keeper: Keeper) -> None:
    process = keeper._process  # pyright: ignore[reportPrivateUsage]
    process.kill()
    process.wait()
    with suppress(BrokenPipeError):
        assert process.stdin
        process.stdin.close()


@pytest.mark.parametrize(("goodbye", "crashes", "outcome"), [(True, 0, "released"), (False, 1, "crashed")])
async def test_only_an_end_without_a_goodbye_is_charged(
    queue: RedisQueue, board: Board, goodbye: bool, crashes: int, outcome: str
) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await (await Lane(queue).register()).claim()
    keeper = Keeper(queue, "w1", board, 60.0, {})
    process = keeper._process  # pyright: ignore[reportPrivateUsage]
    assert process.stdin
    if goodbye:
        keeper.goodbye()
    else:
        process.stdin.close()

    async def is_back() -> bool:
        return (await queue.get(job.id)).status is not JobStatus.RUNNING

    await eventually(is_back, 10)
    found = await queue.get(job.id)
    assert (found.crashes, [one.outcome for one in found.attempts]) == (crashes, [outcome])
    assert await queue.workers() == []
    process.wait(10)
    await check_books(queue)


async def test_a_goodbye_that_nobody_hears_holds_nobody_up(
    queue: RedisQueue, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "GOODBYE_S", 0.1)
    gone, busy = (Keeper(queue, name, board, 60.0, {}) for name in ("w1", "w2"))
    _kill_only(gone)
    os.kill(busy._process.pid, signal.SIGSTOP)  # pyright: ignore[reportPrivateUsage]
    began = time.monotonic()
    try:
        gone.goodbye()
        busy.goodbye()
        assert time.monotonic() - began < 2
        assert gone._process.returncode == -signal.SIGKILL  # pyright: ignore[reportPrivateUsage]
    finally:
        _end(gone)
        _end(busy)


def _kill_only(keeper: Keeper) -> None:
    process = keeper._process  # pyright: ignore[reportPrivateUsage]
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


async def test_one_that_finds_no_redis_looks_again(server: RedisServer, board: Board) -> None:
    queue = RedisQueue(server.url, "kept")
    keeper = Keeper(queue, "w1", board, 60.0, {})
    try:
        await eventually(lambda: _has_looked(keeper), 10)
        server.start()
        await Lane(queue).register(lease_ms=4_000)

        async def is_renewed() -> bool:
            return (await queue.workers())[0].lease_s > 5

        await eventually(is_renewed, 3, "the lease is renewed")
    finally:
        _end(keeper)
        await queue.close()


def _has_looked(keeper: Keeper) -> bool:
    """It waits for the end of its pipe in a thread, which it starts just before it looks."""
    threads = Path(f"/proc/{keeper._process.pid}/task")  # pyright: ignore[reportPrivateUsage]
    return len(list(threads.iterdir())) > 1
