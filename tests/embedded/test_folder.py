"""Where the data live: permissions, long paths, logs, data of other servers."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ironforge.embedded import EmbeddedRedis, folder
from ironforge.embedded.folder import Folder
from tests.embedded.conftest import LINGER_S, Site
from tests.needs import needs


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_look_inside(site: Site) -> None:
    site.folder.path.mkdir(mode=0o755)
    with EmbeddedRedis(site.data_dir, linger_s=LINGER_S):
        assert mode(site.folder.path) == 0o700
        assert mode(site.folder.socket) == 0o700
        assert mode(site.folder.about) == 0o600
        with site.client() as client:
            assert client.config_get("port") == {"port": "0"}


def test_the_server_keeps_what_it_is_given_and_evicts_nothing(site: Site) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-use-rdb-preamble": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    with EmbeddedRedis(site.data_dir, linger_s=LINGER_S), site.client() as client:
        assert client.config_get(*wanted) == wanted


def test_a_path_too_long_for_a_socket_gets_a_private_one_elsewhere(site: Site) -> None:
    deep = Site(site.data_dir / ("long " * 15) / ("and longer " * 8))
    try:
        with EmbeddedRedis(deep.data_dir, linger_s=LINGER_S) as embedded:
            assert len(os.fsencode(deep.folder.socket)) <= 100
            assert deep.folder.socket.parent == Path("/tmp") / f"ironforge-{os.getuid()}"
            assert mode(deep.folder.socket.parent) == 0o700
            deep.put("kept", "yes")
            assert embedded.url == f"unix://{deep.folder.socket}"
        deep.await_nothing()
        assert not deep.folder.socket.exists()
    finally:
        deep.close()


def test_a_private_folder_that_others_can_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_TMP", tmp_path)
    open_to_all = tmp_path / f"ironforge-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    with pytest.raises(PermissionError, match="not a private folder"):
        _ = Folder(tmp_path / ("long" * 30)).socket


def test_a_link_in_place_of_the_private_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_TMP", tmp_path)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"ironforge-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="not a private folder"):
        _ = Folder(tmp_path / ("long" * 30)).socket


def test_two_spellings_of_a_folder_are_one_folder(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.data_dir / "real").mkdir()
    (site.data_dir / "link").symlink_to("real")
    monkeypatch.chdir(site.data_dir)
    plain = EmbeddedRedis(site.data_dir / "real", linger_s=LINGER_S)
    linked = EmbeddedRedis(Path("link"), linger_s=LINGER_S)
    with plain, linked:
        assert linked.url == plain.url


def test_a_log_that_grew_large_is_moved_away(site: Site) -> None:
    site.folder.make()
    site.folder.server_log.write_bytes(b"x" * 2_000_001)
    site.folder.guard_log.write_bytes(b"x" * 2_000_001)
    with EmbeddedRedis(site.data_dir, linger_s=LINGER_S):
        for log in (site.folder.server_log, site.folder.guard_log):
            assert log.with_name(f"{log.name}.1").stat().st_size == 2_000_001
            assert log.stat().st_size < 100_000


@needs("redis-server")
def test_debians_redis_and_the_bundled_server_open_each_others_data(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for server in ("", "redis-server", "", "redis-server"):
        which = {"redis-server": "/usr/bin/redis-server"}.get(server)
        with EmbeddedRedis(site.data_dir, linger_s=0, server=which), site.client() as client:
            client.rpush("order", server or "bundled")
            client.hset("job", mapping={"payload": "é" * 2_000})
            client.bgrewriteaof()
            assert client.hlen("job") == 1
        site.await_nothing()
    with EmbeddedRedis(site.data_dir, linger_s=0), site.client() as client:
        assert client.lrange("order", 0, -1) == ["bundled", "redis-server"] * 2
