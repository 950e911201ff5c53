"""`ironforge server`: the REST server alone."""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import logging
import socket
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ironforge import __version__, config
from ironforge.cli.options import add_redis_options
from ironforge.errors import ConfigError, StartupError, StoreUnavailable

if TYPE_CHECKING:
    from ironforge.forge import Forge
    from ironforge.server.serving import Serving

log = logging.getLogger("ironforge.server")
_LOOK_AGAIN_S = 1.0


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    parser = commands.add_parser("server", description="Runs the REST server alone until SIGTERM.")
    parser.add_argument(
        "--bind", metavar="HOST:PORT", help="address to listen on (default: BIND_ADDR, 127.0.0.1:3000)"
    )
    add_redis_options(parser)


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop. Raises ConfigError and StartupError with a plain sentence."""
    settings = config.load(bind_addr=args.bind, shards=args.shards, durability=args.durability)

    from ironforge import lifeline, logs
    from ironforge.forge import Forge
    from ironforge.server.auth import check_bind
    from ironforge.server.serving import GRACE_S

    lifeline.watch(hard_exit_after_s=GRACE_S + 5)
    check_bind(settings)
    logs.configure(settings.log, settings.log_format)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # starting and stopping is told here
    listener = listen(*settings.bind)
    try:
        return _run_loop(_serve(Forge(settings=settings), listener, args.allow_unsafe_redis))
    finally:
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """The bound socket, so that a port in use is told before anything is started. Raises StartupError."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"{address} cannot be listened on: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartupError(
                f"{address} is in use: stop what listens there, or choose another address with --bind or BIND_ADDR"
            ) from None
        raise StartupError(f"{address} cannot be listened on: {error.strerror}") from None
    return listener


async def _serve(forge: Forge, listener: socket.socket, allow_unsafe: bool) -> int:
    from ironforge.server.app import create_app
    from ironforge.server.serving import Serving

    log.info("IronForge server %s starting", __version__)
    serving = Serving(create_app(forge))
    watch: asyncio.Task[None] | None = None
    try:
        with serving.signals():
            if not await _find_redis(forge, allow_unsafe):
                watch = asyncio.create_task(_judge_when_back(forge, allow_unsafe, serving))
            host, port = listener.getsockname()[:2]
            log.info("Server listening on http://%s:%s", f"[{host}]" if ":" in host else host, port)
            await serving.serve(sockets=[listener])
    finally:
        if watch:
            watch.cancel()
        await forge.aclose()
    if serving.refusal:
        raise serving.refusal
    log.info("Server stopped")
    return 0


async def _find_redis(forge: Forge, allow_unsafe: bool) -> bool:
    """False when it is away: the server then answers 503 until it is back. Raises StartupError."""
    try:
        await forge.connect(allow_unsafe=allow_unsafe)
        await _tell_of_redis(forge)
    except StoreUnavailable as away:
        log.warning("%s; the server answers 503 until it is back", away)
        await forge.connect(check=False)
        return False
    return True


async def _judge_when_back(forge: Forge, allow_unsafe: bool, serving: Serving) -> None:
    """A Redis that was away at the start is judged when it is there."""
    while True:
        await asyncio.sleep(_LOOK_AGAIN_S)
        try:
            await forge.queue.open(allow_unsafe=allow_unsafe)
            await _tell_of_redis(forge)
        except StoreUnavailable:
            continue
        except StartupError as refusal:
            serving.refusal = refusal
            serving.stop()
        return


async def _tell_of_redis(forge: Forge) -> None:
    from ironforge.queue.durability import concerns

    found = await forge.queue.health()
    log.info("Redis found: %s, durability %s", found.server, found.durability)
    for one in concerns(found, time.time_ns() // 1_000_000):
        if one.rule != "replicas":  # told when it was connected to
            log.warning("%s; %s", one.message, one.hint)


def _run_loop(main: Coroutine[Any, Any, int]) -> int:
    """On uvloop where there is one."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        from asyncio import new_event_loop
    # What was loaded so far stays for good: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
