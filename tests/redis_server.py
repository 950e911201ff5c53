"""A private Redis-compatible server for tests, on a unix socket."""

from __future__ import annotations

import subprocess
from pathlib import Path

import redis

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

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
