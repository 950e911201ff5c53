"""What benchmarks stand on: servers of their own, and the CPU that processes took."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def redis_server(binary: str = "redis-server", *extra: str) -> Iterator[tuple[str, int]]:
    """A Redis without persistence on a free loopback port: (URL, process id)."""
    with tempfile.TemporaryDirectory(prefix="if-bench-") as folder:
        port = free_port()
        command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder, *extra]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            await_port(port)
            yield f"redis://127.0.0.1:{port}/0", process.pid
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def program(*words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended afterwards; its output is dropped."""
    process = subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def await_port(port: int, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing answers on port {port}")
        time.sleep(0.05)


def cpu_us(pid: int) -> float:
    """CPU time of a process and its threads, as far as Linux tells."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
