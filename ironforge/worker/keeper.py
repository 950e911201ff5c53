"""Holds the lease of a Worker inside a user's own program, from a small process of its own.

A handler may block that program's loop for a minute: the lease is renewed all the same. One that blocks it past its
time fails, and the lease ends: a program that is not ours cannot be killed, but its other jobs run elsewhere, and what
it says of them later is refused. The keeper is tied to the program by a pipe: at its end without a goodbye it hands the
jobs back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from ironforge.errors import StoreUnavailable
from ironforge.periodic import Outage
from ironforge.queue.backend import RedisQueue
from ironforge.worker.blockage import Blockage, judge
from ironforge.worker.board import Board
from ironforge.worker.failure import fail_blocker

log = logging.getLogger("ironforge.worker")

RENEW_S = 5.0
LOOK_S = 1.0
GOODBYE = b"bye\n"
GOODBYE_S = 2.0


class Keeper:
    """The program's end: starts the keeper, starts it again should it die, and says goodbye to it.

    Args:
        queue: where the worker is registered.
        board: what the worker writes, for the keeper to look at.
        grace_s: between the end of a job's time and that of the lease of the program it blocks.
        policies: back-off of each kind, as JSON.
    """

    def __init__(
        self, queue: RedisQueue, wid: str, board: Board, grace_s: float, policies: Mapping[str, str]
    ) -> None:
        self._board = board
        # Through the pipe, not as an argument: an URL may hold a password, and arguments are there for all to see.
        self._about = json.dumps(
            {
                "url": queue.url,
                "namespace": queue.namespace,
                "wid": wid,
                "pid": os.getpid(),
                "board_fd": board.fd,
                "slots": board.slots,
                "grace_s": grace_s,
                "policies": dict(policies),
            }
        )
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "ironforge.worker.keeper"],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=(self._board.fd,),
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
        with contextlib.suppress(OSError):  # gone already
            self._process.stdin.write(GOODBYE)
            self._process.stdin.close()
        # Else busy with a Redis that is away: it ends by itself.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GOODBYE_S)


async def keep(about: dict[str, Any]) -> None:
    """Renews until the pipe ends, then hands back what the program left."""
    queue = RedisQueue(about["url"], about["namespace"])
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    lookout = _Lookout(queue, about)
    renew_at = 0.0
    # A process that the program forked may hold the pipe open: its parent tells as well.
    while not ended.done() and os.getppid() == about["pid"]:
        try:
            if time.monotonic() >= renew_at:
                await queue.renew(about["wid"])
                renew_at = time.monotonic() + RENEW_S
            await lookout.look()
        except StoreUnavailable:
            pass  # tried again at the next look
        await asyncio.wait({ended}, timeout=LOOK_S)
    if ended.done() and ended.result() == GOODBYE:
        await _insist(partial(queue.hand_back, about["wid"], "ended", {}))
    else:
        evidence = {"ended": "its program is gone", "pid": about["pid"]}
        await _insist(partial(queue.hand_back, about["wid"], "crashed", evidence))
    await queue.close()


class _Lookout:
    """Whether the program's loop turns, as a supervisor looks at its children."""

    def __init__(self, queue: RedisQueue, about: dict[str, Any]) -> None:
        self._queue = queue
        self._about = about
        self._board = Board(about["board_fd"], about["slots"])
        self._found: Blockage | None = None
        self._given_up = False

    async def look(self) -> None:
        """Tells of a loop that does not turn; past the time of its job and the grace, ends the lease."""
        if self._given_up:
            return
        before = self._found
        self._found = found = judge(self._board.read(), time.monotonic(), self._about["grace_s"])
        if found and found.end and before:
            await self._give_up(found)
        elif (found is None) != (before is None):
            words = found.to_json() if found else "null"
            await self._queue.beat(self._about["wid"], {"blocked": words})

    async def _give_up(self, found: Blockage) -> None:
        wid = self._about["wid"]
        for blamed in found.blamed:
            await fail_blocker(self._queue, wid, blamed, found.stack, self._about["policies"])
        evidence = {"ended": "its program is blocked", "pid": self._about["pid"]}
        await self._queue.hand_back(wid, "ended", evidence)
        self._given_up = True


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
