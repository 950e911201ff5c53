"""Instructions that Redis executes per job: `python -m benchmarks.instructions`. Needs valgrind and redis-server.

Counted by callgrind, so the figures are the same on a busy machine: enqueue in batches of 500 and one by one, claim and
settle in batches of 50 (what one lane of a worker with 100 slots does in a turn).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from ironforge.job import Job, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import Settlement, Turn, WorkerInfo

BATCH, LANE = 500, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2_000)
    parser.add_argument("--redis-server", default="redis-server")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="if-bench-") as folder:
        asyncio.run(_measure(Path(folder), chosen.redis_server, chosen.jobs))


async def _measure(folder: Path, binary: str, jobs: int) -> None:
    socket = folder / "r.sock"
    process = subprocess.Popen(
        [
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", "--instr-atstart=no", binary,
            "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not socket.exists():
        await asyncio.sleep(0.1)
    counter = _Counter(process.pid, folder)
    try:
        async with RedisQueue(f"unix://{socket}", "bench") as queue:
            work = _Work(queue, jobs)
            await queue.register("w", WorkerInfo("bench", 1, 1, "0", ("default",), 100), lease_ms=10**9)
            for step in (work.enqueue, work.claim, work.settle):  # scripts are compiled, tables have grown
                await step()
            counter.start()
            for name, step, count in (
                ("enqueue, batches of 500", work.enqueue, jobs),
                ("claim, batches of 50", work.claim, jobs),
                ("settle, batches of 50", work.settle, jobs),
                ("enqueue, one by one", work.enqueue_one_by_one, jobs // 5),
            ):
                print(f"{name:<26} {await counter.of(step) / count:>10,.0f} instructions a job", flush=True)
    finally:
        process.kill()


class _Work:
    def __init__(self, queue: RedisQueue, jobs: int) -> None:
        self._queue, self._jobs, self._turns = queue, jobs, 0
        self._claimed: list[Job] = []

    async def enqueue(self) -> None:
        for _ in range(0, self._jobs, BATCH):
            await self._queue.enqueue_many([NewJob("noop") for _ in range(BATCH)])

    async def enqueue_one_by_one(self) -> None:
        for _ in range(self._jobs // 5):
            await self._queue.enqueue(NewJob("noop"))

    async def claim(self) -> None:
        for _ in range(0, self._jobs, LANE):
            self._turns += 1
            turn = Turn("w", 0, f"{self._turns:x}.abcdefabcdef", LANE, ("default",))
            self._claimed += (await self._queue.turn(turn)).jobs

    async def settle(self) -> None:
        for at in range(0, len(self._claimed), LANE):
            ends = [Settlement(job.id, job.fence, "completed") for job in self._claimed[at : at + LANE]]
            await self._queue.turn(Turn("w", 0, "", 0, ("default",), ends))
        self._claimed.clear()


class _Counter:
    def __init__(self, pid: int, folder: Path) -> None:
        self._pid, self._folder = pid, folder

    def start(self) -> None:
        subprocess.run(["callgrind_control", "-i", "on", str(self._pid)], capture_output=True, check=True)
        self._dumped()

    async def of(self, step: Callable[[], Awaitable[None]]) -> int:
        await step()
        return self._dumped()

    def _dumped(self) -> int:
        subprocess.run(["callgrind_control", "-d", str(self._pid)], capture_output=True, check=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for path in self._folder.glob("out*"):
                if found := re.findall(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE):
                    path.unlink()
                    return max(map(int, found))
            time.sleep(0.1)
        raise SystemExit("callgrind wrote nothing")


if __name__ == "__main__":
    main()
