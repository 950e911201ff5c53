"""The short form of tests/chaos: fewer kills, the same questions to the books and the ledger. Speed is not asked here."""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge import lifeline
from ironforge.embedded import find_server
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.worker.board import STACK_SIGNAL, Board
from ironforge.worker.started import Child
from tests.chaos import events, kills, terms, zombies
from tests.chaos.scorecard import Setting, printed
from tests.redis_server import RedisServer, private_redis
from tests.system.bench import Bench
from tests.waiting import eventually, wait_until

SEED = 20_261_124
# So few jobs under so many kills: the share follows from the sizes.
BY_SIZE = ("jobs that ran more than once",)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with private_redis() as server:
        yield server


async def test_a_worker_leaves_in_time_though_redis_does_not_answer(
    server: RedisServer, tmp_path: Path
) -> None:
    """It hangs, which is worse than being away: no call to it ends before the socket's own time limit."""
    assert server.process
    bench = Bench(server.url, "silent", tmp_path)
    try:
        supervisor = bench.worker("--shutdown-timeout", "0.3")
        async with RedisQueue(server.url, "silent") as queue:
            await queue.enqueue(NewJob("nap", b'{"mark":1,"s":60}'))
            await eventually(lambda: bench.lines("start"), 15, "the job runs")
        server.process.send_signal(signal.SIGSTOP)
        supervisor.terminate()
        wait_until(lambda: supervisor.poll() is not None, 10, "it left")
        assert supervisor.returncode == 0
    finally:
        server.process.send_signal(signal.SIGCONT)
        bench.close()


async def test_a_child_that_ends_while_it_is_asked_for_its_stack_is_no_error() -> None:
    board = Board.make(1)
    board.turned(time.monotonic() - 10)
    board.answer_stack_signal()
    ours, theirs = socket.socketpair()
    with theirs:
        # It does not know the signal, and dies of it.
        child = Child("w", lifeline.tie(["sleep", "60"]), ours, board, claims=True)

        async def end() -> None:
            await asyncio.to_thread(child.wait)
            child.forget()

        try:
            await asyncio.gather(child.look(60), end())
            assert child.blockage and not child.blockage.stack
        finally:
            faulthandler.unregister(STACK_SIGNAL or 0)


async def test_a_child_that_ended_is_not_looked_at() -> None:
    """A supervisor looks at one child after the other: one may end, and its board be closed, before its turn."""
    board = Board.make(1)
    ours, theirs = socket.socketpair()
    with theirs:
        child = Child("w", lifeline.tie(["true"]), ours, board, claims=True)
        await asyncio.to_thread(child.wait)
        child.forget()
        assert not await child.look(60)


async def test_signals_up_to_the_last_moment_do_not_change_the_exit_code(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    bench = Bench(redis_url, namespace, tmp_path)
    try:
        supervisor = bench.worker()

        def ended() -> bool:
            supervisor.terminate()
            return supervisor.poll() is not None

        wait_until(ended, 20, "it left")
        assert supervisor.returncode == 0
    finally:
        bench.close()


def _setting(folder: Path, name: str) -> Setting:
    (folder / name).mkdir()
    return Setting(SEED, 1.0, find_server()[0], folder / name, lambda _: None)


@pytest.mark.timeout(300)
async def test_nothing_is_lost_by_kills_stops_zombies_and_signals() -> None:
    """All at the same time: they mostly wait for leases to run out."""
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        under = Path(folder)
        sizes = events.Sizes(jobs=2_000, kills=20, stops=2, outages=1, flushes=3, slow_until=0.1)
        found = await asyncio.gather(
            kills.play(
                _setting(under, "kills"), sizes, kills.Shape(groups=3, processes=1, slots=5, ahead=200)
            ),
            terms.play(_setting(under, "terms"), terms.Sizes(cycles=5, away_rounds=0, groups=3)),
            zombies.play(_setting(under, "zombies"), zombies.Sizes(rounds=50, late=10, rollbacks=1)),
        )
    for name, rows in zip(("kills", "terms", "zombies"), found, strict=True):
        missed = [row for row in rows if row.ok is False and not row.timed and row.what not in BY_SIZE]
        assert not missed, printed(name, SEED, 0, rows)
