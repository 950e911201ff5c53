"""Servers whose disk can be filled, whose clock can be moved, and that have a replica."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from ironforge.embedded import find_server
from tests.redis_server import RedisServer
from tests.system.processes import free_port
from tests.waiting import wait_until

EMBEDDED = str(find_server()[0])
DEBIAN = shutil.which("redis-server") or ""
FAKETIME = next((str(found) for found in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec")
_NO_LIMIT = resource.RLIM_INFINITY


def both_servers() -> pytest.MarkDecorator:
    """Runs a test on the embedded binary, and on Debian's where it is installed."""
    if not DEBIAN and os.environ.get("IRONFORGE_CI"):
        raise RuntimeError("CI lacks redis-server; .ci/run should install what tests need")
    missing = pytest.mark.skipif(not DEBIAN, reason="needs redis-server")
    return pytest.mark.parametrize(
        "binary", [pytest.param(EMBEDDED, id="embedded"), pytest.param(DEBIAN, id="debian", marks=missing)]
    )


def needs_faketime() -> pytest.MarkDecorator:
    if not FAKETIME and os.environ.get("IRONFORGE_CI"):
        raise RuntimeError("CI lacks libfaketime; .ci/run should install what tests need")
    return pytest.mark.skipif(not FAKETIME, reason="needs libfaketime")


class Server(RedisServer):
    """A private server. SIGXFSZ is ignored, so that a limit on the size of files is to it what a full disk is."""

    def __init__(self, folder: Path, binary: str, *extra: str, faked_clock: bool = False) -> None:
        super().__init__(folder, binary, *extra)
        self._clock = folder / "clock"
        before = ["sh", "-c", 'trap "" XFSZ; exec "$@"', "sh"]
        if faked_clock:
            self._clock.write_text("+0\n")
            before += ["env", *faked(self._clock)]
        self._command = [*before, *self._command]

    def start_again(self, *extra: str) -> None:
        """Without waiting until it answers: it has to load its data first."""
        self.process = subprocess.Popen([*self._command, *extra], stdin=subprocess.DEVNULL, cwd=self.folder)

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        client = redis.Redis.from_url(self.url, protocol=3, legacy_responses=False, socket_timeout=60)
        try:
            yield client
        finally:
            client.close()

    def config_set(self, **settings: str) -> None:
        with self.client() as client:
            for name, value in settings.items():
                client.config_set(name.replace("_", "-"), value)

    def fill_disk(self) -> None:
        """No file can grow any more."""
        largest = max(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (max(1, largest), _NO_LIMIT))

    def make_room(self) -> None:
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (_NO_LIMIT, _NO_LIMIT))

    def move_clock(self, seconds: int) -> None:
        """Its clock is so far from this machine's from now on. Needs `faked_clock`."""

        def moved() -> bool:
            self._clock.write_text(f"{seconds:+d}\n")
            with self.client() as client:
                return abs(client.time()[0] - time.time() - seconds) < 3

        wait_until(moved, 10, "the clock of Redis moved")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


def faked(clock: Path | str) -> list[str]:
    """Environment under which a process takes its wall clock from a file, or is a fixed offset such as "+1d" away."""
    how = f"FAKETIME_TIMESTAMP_FILE={clock}" if isinstance(clock, Path) else f"FAKETIME={clock}"
    return [f"LD_PRELOAD={FAKETIME}", how, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


@contextmanager
def server(*extra: str, binary: str = EMBEDDED, faked_clock: bool = False) -> Iterator[Server]:
    """Started, and gone at the end."""
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        started = Server(Path(folder), binary, *extra, faked_clock=faked_clock)
        started.start()
        try:
            yield started
        finally:
            os.kill(
                started.pid, signal.SIGCONT
            ) if started.process and started.process.poll() is None else None
            started.stop()


class Pair:
    """A primary and the replica that follows it."""

    def __init__(self, primary: Server, replica: Server, ports: tuple[int, int]) -> None:
        self.primary, self.replica, self._ports = primary, replica, ports

    def follow(self) -> None:
        """The primary is one, the replica follows, and both know it."""
        with self.replica.client() as replica, self.primary.client() as primary:
            primary.execute_command("REPLICAOF", "NO", "ONE")
            replica.execute_command("REPLICAOF", "127.0.0.1", self._ports[0])
            wait_until(lambda: _follows(primary), 20, "the replica follows")

    def leave(self) -> None:
        with self.replica.client() as replica:
            replica.execute_command("REPLICAOF", "NO", "ONE")

    def swap(self) -> None:
        """What was the replica is the primary now, and followed by what was the primary."""
        self.leave()
        with self.primary.client() as primary:
            primary.execute_command("REPLICAOF", "127.0.0.1", self._ports[1])


def _follows(primary: redis.Redis) -> bool:
    primary.set("follows", 1)
    return primary.execute_command("WAIT", 1, 1_000) >= 1


@contextmanager
def pair(binary: str = EMBEDDED, *extra: str) -> Iterator[Pair]:
    """Both started, the replica following."""
    ports = free_port(), free_port()
    quick = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", *extra)
    with (
        server("--port", str(ports[0]), *quick, binary=binary) as primary,
        server("--port", str(ports[1]), *quick, binary=binary) as replica,
    ):
        both = Pair(primary, replica, ports)
        both.follow()
        yield both
