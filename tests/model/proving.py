"""A long run, spread over processes, each with a server of its own."""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.model import drive
from tests.redis_server import RedisServer

_TELL_EVERY_S = 2.0
_EPISODES_APART = 10_000_000  # between the episode numbers of two processes


def prove(binary: Path, seed: int, transitions: int, processes: int) -> list[drive.Report]:
    """Checks so many transitions in all; a report for each process."""
    share = -(-transitions // processes)
    if processes == 1:
        return [play(binary, seed, share)]
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(processes, mp_context=context) as pool:
        done = manager.dict()
        running = [
            pool.submit(play, binary, seed, share, at * _EPISODES_APART, (done, at))
            for at in range(processes)
        ]
        return [part.result() for part in running]


def play(
    binary: Path,
    seed: int,
    transitions: int,
    first: int = 0,
    shared: tuple[Any, int] | None = None,
) -> drive.Report:
    """Episodes from `first` on, on a server started for them. `shared`: where processes tell how far they are, and ours."""
    told = time.monotonic()

    def tell(report: drive.Report) -> None:
        nonlocal told
        if shared:
            shared[0][shared[1]] = report.counts.transitions
        if time.monotonic() - told >= _TELL_EVERY_S and (not shared or shared[1] == 0):
            told = time.monotonic()
            total = sum(shared[0].values()) if shared else report.counts.transitions
            _tell(f"{total:,} transitions, {total / max(report.seconds, 0.1):,.0f}/s")

    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), str(binary))
        server.start()
        try:
            return drive.run(server.url, seed, transitions, first_episode=first, tell=tell)
        finally:
            server.stop()


def _tell(line: str) -> None:
    end = "" if sys.stderr.isatty() else "\n"
    print(f"\r\033[K{line}" if not end else line, end=end, file=sys.stderr, flush=True)
