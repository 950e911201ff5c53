"""The short form of tests/chaos: fewer kills, the same questions to the books and the ledger. Speed is not asked here."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge.embedded import find_server
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.redis_server import RedisServer
from tests.system.bench import Bench
from tests.waiting import eventually, wait_until


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), str(find_server()[0]))
        server.start()
        yield server
        server.stop()


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
        wait_until(lambda: supervisor.poll() is not None, 7, "it left")
        assert supervisor.returncode == 0
    finally:
        server.process.send_signal(signal.SIGCONT)
        bench.close()
