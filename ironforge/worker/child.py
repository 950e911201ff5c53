"""A child of the supervisor: the only process that runs users' code. Started by start.py."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from functools import partial

from ironforge import lifeline, logs
from ironforge.errors import ConfigError, LeaseLost, StoreUnavailable
from ironforge.forge import Forge
from ironforge.periodic import patiently
from ironforge.worker.board import Board
from ironforge.worker.control import DONE, LEASE_LOST, MISUSED, RECYCLE, ChildOrder, hello, receive, send
from ironforge.worker.crew import Crew, CrewOptions
from ironforge.worker.loading import load_forge
from ironforge.worker.loops import run_loop
from ironforge.worker.processes import check_importable

log = logging.getLogger("ironforge.worker")

ORPHAN_S = 4.0  # a child without a supervisor: so long for what runs, then its release, all within the lease


def main() -> None:
    order = ChildOrder.from_json(sys.argv[1])
    board = Board(order.board_fd, order.concurrency)
    board.answer_stack_signal()
    # Graceful when the supervisor is gone, and in any case before the lease it held is reaped.
    lifeline.watch(hard_exit_after_s=10.0)
    logs.configure(order.log, order.log_format)
    channel = socket.socket(fileno=order.control_fd)
    channel.set_inheritable(False)
    try:
        forge = load_forge(order.target)
        check_importable(forge.tasks)
        send(channel, hello(forge.settings, forge.tasks))
    except ConfigError as error:
        send(channel, {"error": str(error)})
        sys.exit(MISUSED)
    said = receive(channel)
    if said is None:
        sys.exit(DONE)
    run_loop(_serve_and_exit(forge, said["go"], order, channel, board))


async def _serve_and_exit(
    forge: Forge, wid: str, order: ChildOrder, channel: socket.socket, board: Board
) -> None:
    """Threads and tasks of handlers that do not end must not keep the process: it leaves from within its loop."""
    try:
        code = await _serve(forge, wid, order, channel, board)
    except Exception:
        log.exception("this worker process failed; it is replaced")
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


async def _serve(forge: Forge, wid: str, order: ChildOrder, channel: socket.socket, board: Board) -> int:
    queue = await forge.connect(check=False)
    options = CrewOptions(order.concurrency, order.queues, order.shutdown_timeout_s, order.grace_s)
    crew = Crew(queue, wid, forge.tasks, options, board)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, crew.stop, 1)
    loop.add_reader(channel, _listen, channel, crew)
    try:
        await crew.serve()
    except LeaseLost as lost:
        log.error("%s; this process is replaced", lost)
        board.leave(recycling=False)
        return LEASE_LOST
    except StoreUnavailable as away:
        log.warning("stopped while Redis was away (%s); what was not settled runs again elsewhere", away)
        return DONE
    if not crew.leaving_anyway:
        try:
            await queue.deregister(wid)
        except StoreUnavailable:
            pass  # the supervisor hands back, or the lease runs out
    await forge.aclose()
    return RECYCLE if crew.recycled else DONE


def _listen(channel: socket.socket, crew: Crew) -> None:
    """What the supervisor says. When it is gone, its lease is soon over: what does not end by then is released."""
    loop = asyncio.get_running_loop()
    said = receive(channel)
    if said is None:
        loop.remove_reader(channel)
        crew.stop(1)
        loop.call_later(ORPHAN_S, crew.stop, 2)
    else:
        crew.stop(said["stop"])


async def connect_patiently(forge: Forge, *, allow_unsafe: bool = False) -> None:
    """Connects, and waits for a Redis that is away. Raises StartupError, ConfigError."""
    await patiently(partial(forge.connect, allow_unsafe=allow_unsafe))
