"""The embedded server as processes use it: shared, killed, restarted, and stopped by the last to leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ironforge.embedded import EmbeddedRedis, find_server
from ironforge.errors import StartupError
from tests.system.processes import ROOT, is_alive
from tests.waiting import wait_until

LINGER_S = 0.3
USER = """
import sys
from pathlib import Path
from ironforge.embedded import EmbeddedRedis
import redis
embedded = EmbeddedRedis(Path(sys.argv[1]), linger_s=0.3)
client = redis.Redis.from_url(embedded.start(), protocol=3, legacy_responses=False)
print(client.incr("users"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        yield Path(folder)
        _ended(Path(folder))


def _about(data_dir: Path) -> dict[str, int]:
    return json.loads((data_dir / "redis" / "server.json").read_text())


def _ended(data_dir: Path) -> None:
    """Nobody uses the folder any more: guard and server go."""
    try:
        about = _about(data_dir)
    except OSError:
        return
    wait_until(
        lambda: not is_alive(about["pid"]) and not is_alive(about["guard"]), 15, "guard and server ended"
    )


def _client(embedded: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(embedded.url, protocol=3, legacy_responses=False)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _user(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def _close(user: subprocess.Popen[str]) -> None:
    user.communicate(timeout=15)


def test_four_processes_at_once_share_one_server(data_dir: Path) -> None:
    users = [_user(data_dir) for _ in range(4)]
    counts = sorted(int(user.stdout.readline()) for user in users if user.stdout)
    assert counts == [1, 2, 3, 4]
    about = _about(data_dir)
    users[0].kill()
    for user in users:
        _close(user)
    wait_until(lambda: not is_alive(about["pid"]) and not is_alive(about["guard"]), 15, "all of it ended")


def test_data_survive_a_restart(data_dir: Path) -> None:
    for expected in (1, 2):
        with EmbeddedRedis(data_dir, LINGER_S) as embedded:
            client = _client(embedded)
            assert client.incr("n") == expected
            client.close()
        _ended(data_dir)


def test_a_killed_server_comes_back_with_what_was_written(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir, LINGER_S) as embedded:
        client = _client(embedded)
        client.set("kept", "yes")
        before = _about(data_dir)["pid"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: _about(data_dir)["pid"] != before and _answers(client), 10, "the server is back")
        assert client.get("kept") == b"yes"
        client.close()


def test_a_killed_guard_takes_the_server_with_it_and_the_next_user_starts_anew(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir, LINGER_S) as embedded:
        client = _client(embedded)
        client.set("kept", "yes")
        about = _about(data_dir)
        os.kill(about["guard"], signal.SIGKILL)
        wait_until(lambda: not is_alive(about["pid"]), 10, "no orphan is left")
        with EmbeddedRedis(data_dir, LINGER_S):
            assert wait_until(lambda: _answers(client)) and client.get("kept") == b"yes"
        client.close()


def test_a_user_killed_with_sigkill_leaves_nothing_running(data_dir: Path) -> None:
    user = _user(data_dir)
    assert user.stdout and user.stdout.readline()
    about = _about(data_dir)
    user.kill()
    _close(user)
    wait_until(
        lambda: not is_alive(about["pid"]) and not is_alive(about["guard"]), 15, "guard and server ended"
    )


def test_a_long_path_gets_its_socket_elsewhere(data_dir: Path) -> None:
    long = data_dir / ("x" * 100)
    with EmbeddedRedis(long, LINGER_S) as embedded:
        assert len(str(embedded.folder.socket)) < 100 and str(embedded.folder.socket).startswith(
            "/tmp/ironforge-"
        )
        client = _client(embedded)
        assert client.ping()
        client.close()
    _ended(long)


def test_the_folder_and_the_socket_are_for_their_owner_alone(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir, LINGER_S) as embedded:
        assert embedded.folder.path.stat().st_mode & 0o777 == 0o700
        assert embedded.folder.socket.stat().st_mode & 0o077 == 0
        assert embedded.folder.about.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_used_is_said(data_dir: Path) -> None:
    (data_dir / "redis").write_text("a file where the folder should be")
    with pytest.raises(StartupError, match="IRONFORGE_DATA_DIR"):
        EmbeddedRedis(data_dir).start()


def test_a_server_that_does_not_start_tells_its_last_words(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = data_dir / "broken-server"
    broken.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Redis server v=7.2.0' && exit 0\necho 'no memory for you'\nexit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setenv("IRONFORGE_REDIS_SERVER", str(broken))
    with pytest.raises(StartupError, match="no memory for you"):
        EmbeddedRedis(data_dir, LINGER_S).start()


@pytest.mark.parametrize(
    ("said", "words"),
    [("Redis server v=6.2.14 sha=0", "7.0 or newer"), ("hello", "does not say its version")],
)
def test_an_unfit_binary_is_refused(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, said: str, words: str
) -> None:
    binary = data_dir / "server"
    binary.write_text(f"#!/bin/sh\necho '{said}'\n")
    binary.chmod(0o755)
    monkeypatch.setenv("IRONFORGE_REDIS_SERVER", str(binary))
    with pytest.raises(StartupError, match=words):
        find_server()


def test_a_named_binary_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRONFORGE_REDIS_SERVER", "/nowhere/redis-server")
    with pytest.raises(StartupError, match="IRONFORGE_REDIS_SERVER"):
        find_server()
