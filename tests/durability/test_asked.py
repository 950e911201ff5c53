"""What is asked of a Redis at the start: refused where it does not hold, in one sentence that says what to do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge import config
from ironforge.config import Settings
from ironforge.errors import ConfigError, StartupError
from ironforge.forge import Forge
from ironforge.queue.backend import RedisQueue
from tests.durability.servers import Server, server
from tests.system.processes import environment, ironforge

CLASSES = [
    ("no", "everysec", "none", "appendonly no"),
    ("yes", "no", "none", "appendonly yes, appendfsync no"),
    ("yes", "everysec", "everysec", "appendonly yes, appendfsync everysec"),
    ("yes", "always", "always", "appendonly yes, appendfsync always"),
]


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with server() as started:
        yield started


@pytest.mark.parametrize(("appendonly", "appendfsync", "word", "sentence"), CLASSES)
async def test_the_class_is_found_and_always_is_held_against_it(
    redis: Server, appendonly: str, appendfsync: str, word: str, sentence: str
) -> None:
    redis.config_set(appendonly=appendonly, appendfsync=appendfsync)
    async with RedisQueue(redis.url) as queue:
        found = await queue.health()
    assert (found.durability, found.asked, found.persistence) == (word, "local", sentence)
    forge = Forge(redis.url, durability="always")
    if word == "always":
        async with forge:
            assert (await forge.queue.health()).durability == "always"
        return
    with pytest.raises(StartupError) as refused:
        await forge.connect()
    said = str(refused.value)
    assert "appendonly yes and appendfsync always" in said and sentence in said and "\n" not in said


async def test_what_cannot_be_read_is_said_and_taken_on_trust_only_when_told_to(redis: Server) -> None:
    redis.config_set(appendonly="yes", appendfsync="always")
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "narrow", "on", ">word", "~*", "+@all", "-config")
    url = redis.url.replace("unix://", "unix://narrow:word@")
    async with RedisQueue(url) as queue:
        found = await queue.health()
    assert found.durability == "everysec" and "CONFIG GET is refused" in found.persistence
    forge = Forge(url, durability="always")
    with pytest.raises(
        StartupError, match=r"cannot be read, since INFO or CONFIG GET is refused.*--allow-unsafe-redis"
    ):
        await forge.connect()
    await forge.connect(allow_unsafe=True)
    await forge.aclose()


@pytest.mark.parametrize("command", ["server", "worker"])
def test_processes_refuse_to_start(redis: Server, command: str, tmp_path: Path) -> None:
    redis.config_set(appendonly="yes", appendfsync="everysec")
    address = ("--bind", "127.0.0.1:0") if command == "server" else ()
    done = subprocess.run(
        ironforge(command, *address, "--durability", "always"),
        env=environment(redis.url, "asked"), capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ironforge: durability 'always' was asked for")
    assert "appendonly yes and appendfsync always" in last and "appendfsync everysec" in last


def test_flag_then_environment_then_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("IRONFORGE_DURABILITY", raising=False)
    assert config.load(tmp_path).durability == "local"
    (tmp_path / "ironforge.toml").write_text('durability = "always"\n')
    assert config.load(tmp_path).durability == "always"
    monkeypatch.setenv("IRONFORGE_DURABILITY", "replicated")
    assert config.load(tmp_path).durability == "replicated"
    assert config.load(tmp_path, durability="local").durability == "local"
    monkeypatch.setenv("IRONFORGE_DURABILITY", "strong")
    with pytest.raises(ConfigError, match="local, always or replicated"):
        config.load(tmp_path)


async def test_the_embedded_server_is_made_to_sync_and_has_no_replica(tmp_path: Path) -> None:
    async with Forge(settings=Settings(data_dir=tmp_path / "d", durability="always")) as forge:
        assert (await forge.queue.health()).durability == "always"
    with pytest.raises(ConfigError, match="set REDIS_URL"):
        await Forge(settings=Settings(data_dir=tmp_path / "d", durability="replicated")).connect()
