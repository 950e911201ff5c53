"""The process: how it starts, refuses to, and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ironforge.cli.server import listen
from ironforge.embedded import find_server
from tests.redis_server import RedisServer
from tests.waiting import wait_until


class Process:
    """`ironforge server` on a free port, with its log."""

    def __init__(self, folder: Path, redis_url: str, *arguments: str, **environment: str) -> None:
        self.log = folder / "server.log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("IRONFORGE_")}
        clean |= {"REDIS_URL": redis_url, "IRONFORGE_NAMESPACE": f"t{os.getpid()}", **environment}
        command = [sys.executable, "-m", "ironforge.cli.main", "server", "--bind", "127.0.0.1:0", *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=clean, stdin=subprocess.DEVNULL, stderr=log, stdout=log
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def url(self) -> str:
        found = wait_until(
            lambda: re.search(r"listening on (http://[0-9.:]+)", self.text), 15, "the server listens"
        )
        return found[1]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)


@contextmanager
def _server(folder: Path, redis_url: str, *arguments: str, **environment: str) -> Iterator[Process]:
    server = Process(folder, redis_url, *arguments, **environment)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def _get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_it_starts_tells_so_and_ends_though_a_stream_is_open(tmp_path: Path, redis_url: str) -> None:
    with _server(tmp_path, redis_url) as server:
        url = server.url()
        assert _get(f"{url}/health")["status"] == "ok"
        with urllib.request.urlopen(f"{url}/events", timeout=10) as stream:
            assert stream.readline() == b"event: hello\n"
            assert server.end() == 0
        lines = [json.loads(line) for line in server.text.splitlines()]
        told = [line["message"] for line in lines]
        assert any(re.fullmatch(r"IronForge server 0\.1\.0 starting", one) for one in told)
        assert any(re.fullmatch(r"Redis found: \w+ [0-9.]+, durability none", one) for one in told)
        assert any("GET /health" in one for one in told), "requests are logged"
        assert told[-1] == "Server stopped" and not [line for line in lines if line["level"] == "error"]


def test_it_ends_with_the_one_that_started_it(tmp_path: Path, redis_url: str) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    clean = {
        **os.environ,
        "REDIS_URL": redis_url,
        "IRONFORGE_NAMESPACE": "tied",
        "IRONFORGE_LIFELINE": str(reading),
    }
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "ironforge.cli.main", "server", "--bind", "127.0.0.1:0"],
        env=clean, cwd=tmp_path, pass_fds=(reading,), stderr=log, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(reading)
    try:
        wait_until(lambda: b"listening" in (tmp_path / "log").read_bytes(), 15, "the server listens")
        os.close(writing)
        assert process.wait(10) == 0
    finally:
        process.kill()
        log.close()


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "says"),
    [
        (("--bind", "0.0.0.0:0"), {}, 2, "IRONFORGE_TOKEN"),
        (("--bind", "nonsense"), {}, 2, "HOST:PORT"),
        (("--bind", "127.0.0.1:{taken}"), {}, 1, "is in use"),
        (("--bind", "203.0.113.7:1"), {"IRONFORGE_TOKEN": "t"}, 1, "cannot be listened on"),
        ((), {"IRONFORGE_LOG": "loud"}, 2, "IRONFORGE_LOG"),
        ((), {"REDIS_URL": "http://x"}, 2, "REDIS_URL"),
    ],
)
def test_it_refuses_in_one_sentence(
    tmp_path: Path,
    redis_url: str,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    status: int,
    says: str,
) -> None:
    taken = listen("127.0.0.1", 0)
    port = str(taken.getsockname()[1])
    with _server(
        tmp_path, redis_url, *(one.replace("{taken}", port) for one in arguments), **environment
    ) as server:
        assert server.process.wait(15) == status
        (last,) = server.text.strip().splitlines()[-1:]
        assert says in last and "Traceback" not in server.text
    taken.close()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    binary, _ = find_server()
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        yield RedisServer(Path(folder), str(binary), "--maxmemory-policy", "allkeys-lru")


def test_an_evicting_redis_is_refused_unless_allowed(tmp_path: Path, own_redis: RedisServer) -> None:
    own_redis.start()
    with _server(tmp_path, own_redis.url) as server:
        assert server.process.wait(15) == 1
        assert "maxmemory-policy noeviction" in server.text.splitlines()[-1]
    with _server(tmp_path, own_redis.url, "--allow-unsafe-redis") as server:
        assert _get(f"{server.url()}/health")["status"] == "ok"
    own_redis.kill()


def test_an_absent_redis_is_waited_for_and_judged_when_it_comes(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    with _server(tmp_path, own_redis.url) as server:
        url = server.url()
        with pytest.raises(urllib.error.HTTPError) as refused:
            _get(f"{url}/health")
        assert (refused.value.code, refused.value.headers["retry-after"]) == (503, "5")
        refused.value.close()
        assert "503 until it is back" in server.text
        own_redis.start()
        assert server.process.wait(15) == 1, "it evicts"
        assert "maxmemory-policy noeviction" in server.text.splitlines()[-1]
    own_redis.kill()


def test_the_server_moves_due_jobs_without_a_worker(tmp_path: Path, redis_url: str) -> None:
    with _server(tmp_path, redis_url, IRONFORGE_NAMESPACE=f"due{os.getpid()}") as server:
        url = server.url()
        request = urllib.request.Request(
            f"{url}/jobs", b'{"kind":"a","delay_s":0.2}', {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            job = json.load(answer)
        assert job["status"] == "scheduled"
        wait_until(lambda: _get(f"{url}/jobs/{job['id']}")["status"] == "queued", 5, "the job is promoted")
