"""A line that is slow by so many milliseconds each way: `python -m tests.forms.lag PORT TARGET_PORT LAG_MS`."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from tests.chaos.pacing import until
from tests.system.processes import ROOT, await_port, free_port

_CHUNK = 64 * 1024


class SlowLine:
    """A process of its own, so that the tests' load does not add to the lag."""

    def __init__(self, target_port: int, lag_ms: int) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forms.lag", str(self.port), str(target_port), str(lag_ms)],
            cwd=Path(ROOT),
            stdin=subprocess.DEVNULL,
        )
        await_port(self.port)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lag_s: float) -> None:
    """Each chunk arrives `lag_s` later; the end of the stream too."""
    waiting: deque[tuple[float, bytes]] = deque()
    more = asyncio.Event()

    async def deliver() -> None:
        while True:
            while not waiting:
                more.clear()
                await more.wait()
            due, chunk = waiting.popleft()
            await until(due)
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    try:
        while True:
            chunk = await reader.read(_CHUNK)
            waiting.append((time.monotonic() + lag_s, chunk))
            more.set()
            if not chunk:
                break
        await delivering
    except OSError:
        pass
    finally:
        delivering.cancel()
        writer.close()


async def _serve(port: int, target_port: int, lag_s: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", target_port)
        except OSError:
            writer.close()
            return
        with contextlib.suppress(OSError):
            await asyncio.gather(_carry(reader, there[1], lag_s), _carry(there[0], writer, lag_s))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000))
