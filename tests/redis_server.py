"""A private Redis-compatible server for tests, on a unix socket."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from ironforge.embedded import find_server
from tests.waiting import wait_until


class RedisServer:
    """Started and stopped by the test that owns it; data in `folder`."""

    def __init__(self, folder: Path, binary: str, *extra: str) -> None:
        self.folder = folder
        self.socket = folder / "r.sock"
        self.url = f"unix://{self.socket}"
        self._command = [
            binary, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(folder), "--save", "",
            "--appendonly", "no", "--daemonize", "no", "--logfile", str(folder / "redis.log"), *extra,
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, cwd=self.folder)
        wait_until(self.answers, 10, "the test's Redis server answers")

    def answers(self) -> bool:
        client = redis.Redis.from_url(self.url, protocol=3, legacy_responses=False)
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
            return False
        finally:
            client.close()

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and reads nothing."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


@contextmanager
def private_redis(*extra: str, binary: Path | None = None) -> Iterator[RedisServer]:
    """One of its own, in a folder that goes with it. On a short path: that of a socket is limited to 107 bytes.

    Args:
        extra: options on its command line.
        binary: the bundled one, when None.
    """
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), str(binary or find_server()[0]), *extra)
        server.start()
        try:
            yield server
        finally:
            server.stop()
