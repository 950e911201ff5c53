"""Holds the lease of a Worker inside a user's own program, from a small process of its own.

A handler may block that program's loop for a minute: the lease is renewed all the same. The keeper is tied to the
program by a pipe: at its end without a goodbye it hands the jobs back at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

from ironforge.errors import StoreUnavailable
from ironforge.periodic import Outage
from ironforge.queue.backend import RedisQueue

log = logging.getLogger("ironforge.worker")

RENEW_S = 5.0
LOOK_S = 1.0
GOODBYE = b"bye\n"
GOODBYE_S = 2.0


class Keeper:
    """The program's end: starts the keeper, starts it again should it die, and says goodbye to it."""

    def __init__(self, url: str, namespace: str, wid: str) -> None:
        # Through the pipe, not as an argument: an URL may hold a password, and arguments are there for all to see.
        self._about = json.dumps({"url": url, "namespace": namespace, "wid": wid, "pid": os.getpid()})
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "ironforge.worker.keeper"], stdin=subprocess.PIPE, start_new_session=True
        )
        assert process.stdin
        process.stdin.write(self._about.encode() + b"\n")
        process.stdin.flush()
        return process

    async def look(self) -> None:
        """Replaces a keeper that died: without one the lease would end."""
        if (code := self._process.poll()) is not None:
            log.error("the process that keeps this worker's lease ended (%s); it is replaced", code)
            self._process = self._start()

    def goodbye(self) -> None:
        """The worker leaves. Should it still hold something, because Redis is away, the keeper hands it back later."""
        assert self._process.stdin
        try:
            self._process.stdin.write(GOODBYE)
            self._process.stdin.close()
            self._process.wait(GOODBYE_S)
        except (OSError, subprocess.TimeoutExpired):
            pass  # gone already, or busy with a Redis that is away: it ends by itself


async def keep(about: dict[str, Any]) -> None:
    """Renews until the pipe ends, then hands back what the program left."""
    queue = RedisQueue(about["url"], about["namespace"])
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    # A process that the program forked may hold the pipe open: its parent tells as well.
    while not ended.done() and os.getppid() == about["pid"]:
        try:
            await queue.renew(about["wid"])
            pause_s = RENEW_S
        except StoreUnavailable:
            pause_s = LOOK_S
        await asyncio.wait({ended}, timeout=pause_s)
    if ended.done() and ended.result() == GOODBYE:
        await _insist(partial(queue.hand_back, about["wid"], "ended", {}))
    else:
        evidence = {"ended": "its program is gone", "pid": about["pid"]}
        await _insist(partial(queue.hand_back, about["wid"], "crashed", evidence))
    await queue.close()


async def _insist(call: Any, tries: int = 60) -> None:
    outage = Outage()
    for _ in range(tries):
        try:
            await call()
        except StoreUnavailable as away:
            await outage.wait(away)
        else:
            return


def main() -> None:
    # It ends with its program, not when a service manager asks every process at once to end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.ERROR)  # what is to be said of Redis the program says
    asyncio.run(keep(json.loads(sys.stdin.buffer.readline())))
    os._exit(0)  # the thread that reads the pipe may still wait


if __name__ == "__main__":
    main()
