"""A data folder of its own for each test; whatever runs on it afterwards is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ironforge.embedded.folder import Folder
from tests.waiting import wait_until

LINGER_S = 0.3
ROOT = Path(__file__).resolve().parents[2]


class Site:
    """One data folder, seen from outside."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.folder = Folder(data_dir / "redis")
        self._users: list[subprocess.Popen[str]] = []

    def begin_user(self) -> subprocess.Popen[str]:
        user = subprocess.Popen(
            [sys.executable, "-m", "tests.embedded.user", str(self.data_dir), str(LINGER_S)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        self._users.append(user)
        return user

    def add_user(self) -> subprocess.Popen[str]:
        """One that has its share when this returns."""
        user = self.begin_user()
        assert said(user).isdigit()
        return user

    def client(self) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self.folder.socket),
            protocol=3,
            legacy_responses=False,
            decode_responses=True,
        )

    def value(self, key: str) -> Any:
        with self.client() as client:
            return client.get(key)

    def put(self, key: str, value: str) -> None:
        """Returns once the write is in the server's file: with `everysec` an answer may come a moment before."""
        with self.client() as client:
            client.set(key, value)
        wait_until(
            lambda: self._is_written(f"{key}\r\n${len(value)}\r\n{value}"), 5, "the write is in the file"
        )

    def _is_written(self, text: str) -> bool:
        files = (self.folder.path / "appendonlydir").glob("*.aof")
        return any(text.encode() in file.read_bytes() for file in files)

    def about(self) -> dict[str, Any]:
        return json.loads(self.folder.about.read_text())

    def await_another_server(self, than: int) -> None:
        """A server with another pid answers."""
        wait_until(lambda: self._answering_pid() not in (None, than), 10, "another server answers")

    def await_nothing(self) -> None:
        wait_until(lambda: not self.processes(), 10, "no guard and no server is left")

    def processes(self) -> list[int]:
        """Guards and servers of this folder, users left out."""
        found: list[int] = []
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = line.read_bytes()
            except OSError:
                continue
            if os.fsencode(self.folder.path) in words or os.fsencode(self.folder.socket) in words:
                found.append(int(line.parent.name))
        return found

    def close(self) -> None:
        for user in self._users:
            user.kill()
            user.communicate()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.await_nothing()

    def _answering_pid(self) -> int | None:
        try:
            with self.client() as client:
                return int(client.info("server")["process_id"])
        except redis.RedisError:
            return None


def said(user: subprocess.Popen[str]) -> str:
    """The next line a user printed."""
    assert user.stdout
    return user.stdout.readline().strip()


@pytest.fixture
def site() -> Iterator[Site]:
    # Not tmp_path: that is too long for a socket, and long paths have a test of their own.
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        made = Site(Path(folder).resolve())
        yield made
        made.close()
