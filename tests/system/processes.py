"""Real processes for system tests: started on the test's Redis, ended with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ironforge.embedded import find_server
from tests.redis_server import RedisServer
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


def environment(redis_url: str, namespace: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IRONFORGE_")}
    return {
        **kept,
        "REDIS_URL": redis_url,
        "IRONFORGE_NAMESPACE": namespace,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **more,
    }


@contextmanager
def durable_redis() -> Iterator[str]:
    """The URL of a Redis that keeps its data: the only one that a doctor calls well."""
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        server = RedisServer(Path(folder), str(find_server()[0]), "--appendonly", "yes")
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


@contextmanager
def running(
    command: Sequence[str], env: dict[str, str], log: Path, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own; the whole group is killed at the end if it is still there."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd or ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], timeout_s: float = 20) -> int:
    """SIGTERM, and SIGKILL for one that does not end in time; its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    return process.returncode


def ironforge(*words: str) -> list[str]:
    return [sys.executable, "-m", "ironforge.cli.main", *words]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port: int, timeout_s: float = 20) -> None:
    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(answers, timeout_s, f"something listens on port {port}")


def await_text(log: Path, text: str, timeout_s: float = 20) -> None:
    wait_until(lambda: text in log.read_text(errors="replace"), timeout_s, f"{log.name} says {text!r}")


def children_of(pid: int) -> list[int]:
    """Direct children, from /proc."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
