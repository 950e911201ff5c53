"""Holds the lease of a Worker inside a user's own program, from a small process of its own.

A handler may block that program's loop for a minute: the lease is renewed all the same. The keeper is tied to the
program by a pipe: at its end without a goodbye it hands the jobs back at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from typing import Any

from ironforge.config import Settings
from ironforge.errors import StoreUnavailable
from ironforge.periodic import Outage
from ironforge.queue.backend import RedisQueue

RENEW_S = 5.0
GOODBYE = b"bye\n"


class Keeper:
    """The program's end: starts the keeper and says goodbye to it."""

    def __init__(self, url: str, settings: Settings, wid: str) -> None:
        about = json.dumps({"url": url, "namespace": settings.namespace, "wid": wid, "pid": os.getpid()})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ironforge.worker.keeper", about],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def goodbye(self) -> None:
        """The worker left with empty hands; there is nothing to hand back."""
        assert self._process.stdin
        try:
            self._process.stdin.write(GOODBYE)
            self._process.stdin.close()
        except OSError:
            pass
        self._process.wait(10)


async def keep(about: dict[str, Any]) -> None:
    """Renews until the pipe ends, then hands back what the program left."""
    queue = RedisQueue(about["url"], about["namespace"])
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    while not ended.done():
        try:
            await queue.renew(about["wid"])
            pause_s = RENEW_S
        except StoreUnavailable:
            pause_s = 1.0
        await asyncio.wait({ended}, timeout=pause_s)
    if await ended != GOODBYE:
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


if __name__ == "__main__":
    asyncio.run(keep(json.loads(sys.argv[1])))
