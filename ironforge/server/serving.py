"""uvicorn, made to stop as an operator expects: at once, though streams without end are open."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from ironforge.errors import StartupError

GRACE_S = 5


class Serving(uvicorn.Server):
    """One server on sockets that are bound already. `refusal` is set when Redis turned out not to be trustworthy."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            http="httptools",
            loop="none",
            ws="none",
            proxy_headers=False,
            server_header=False,
            access_log=False,  # see access.py
            timeout_graceful_shutdown=GRACE_S,
        )
        super().__init__(config)
        self.refusal: StartupError | None = None
        self._live = app.state.live

    def stop(self) -> None:
        """Lets requests finish; a second call does not wait for them."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._live.close()

    @contextmanager
    def signals(self) -> Generator[None]:
        """SIGTERM and SIGINT stop the server, from before it starts."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn's own handlers would raise the signal again afterwards: `signals` stands instead of them."""
        yield
