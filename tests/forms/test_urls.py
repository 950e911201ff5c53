"""REDIS_URL: what each form means, and one plain sentence, without a password, for what it cannot mean."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ironforge import config
from ironforge.errors import ConfigError
from ironforge.queue.connection import make_client
from ironforge.queue.slots import key_of
from ironforge.queue.urls import RedisUrl, parse_redis_url
from tests.system.processes import environment, ironforge

ONE = (("h1", 6379),)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("redis://h1", RedisUrl("standalone", False, ONE)),
        ("redis://h1:7000/3", RedisUrl("standalone", False, (("h1", 7000),), db=3)),
        ("redis://h1?db=4", RedisUrl("standalone", False, ONE, db=4)),
        ("redis://", RedisUrl("standalone", False, (("localhost", 6379),))),
        ("redis://[::1]:7000", RedisUrl("standalone", False, (("::1", 7000),))),
        ("redis://:p%40%2Fss@h1", RedisUrl("standalone", False, ONE, password="p@/ss")),
        ("redis://ann:s3cret@h1", RedisUrl("standalone", False, ONE, username="ann", password="s3cret")),
        (
            "rediss://h1?ssl_ca_certs=/ca.pem",
            RedisUrl("standalone", True, ONE, options={"ssl_ca_certs": "/ca.pem"}),
        ),
        ("unix:///run/r.sock?db=2", RedisUrl("socket", path="/run/r.sock", db=2)),
        (
            "redis+sentinel://ann:s3cret@h1:26380,h2/forge/1",
            RedisUrl(
                "sentinel", False, (("h1", 26380), ("h2", 26379)), "", "ann", "s3cret", "forge", 1
            ),
        ),
        ("rediss+sentinel://h1/forge", RedisUrl("sentinel", True, (("h1", 26379),), service="forge")),
        (
            "redis+sentinel://h1/forge?sentinel_password=x",
            RedisUrl("sentinel", False, (("h1", 26379),), service="forge", options={"sentinel_password": "x"}),
        ),
        (
            "redis+cluster://ann:s3cret@h1:7000,[::2]",
            RedisUrl("cluster", False, (("h1", 7000), ("::2", 6379)), "", "ann", "s3cret"),
        ),
        ("rediss+cluster://h1/0", RedisUrl("cluster", True, ONE)),
    ],
)  # fmt: skip
def test_what_a_url_means(url: str, meant: RedisUrl) -> None:
    assert parse_redis_url(url) == meant


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://h1", "begins with 'http'"),
        ("h1:6379", "does not begin with a scheme"),
        ("redis://h1:notaport", "port that is not a number"),
        ("redis://h1:0", "port that is not a number"),
        ("redis://h1:65536", "port that is not a number"),
        ("redis://:hunter2/secret@h1", "write / as %2F"),
        ("redis://ann:hunter2#x@h1", "port that is not a number"),
        ("redis://h1,h2", "names 2 hosts"),
        ("redis://h1/zero", "database that is not a number"),
        ("redis://h1/-1", "database that is not a number"),
        ("redis://h1?ssl_ca_certs=/x", "ssl_ca_certs without TLS"),
        ("redis://h1?hunter2=1", "option that IronForge does not know"),
        ("rediss://h1?ssl_cert_reqs=sometimes", "ssl_cert_reqs"),
        ("rediss://h1?ssl_check_hostname=perhaps", "ssl_check_hostname"),
        ("redis://h1?sentinel_password=x", "option that IronForge does not know"),
        ("unix://", "names no socket"),
        ("unix://h1/run/r.sock", "names no socket"),
        ("redis+sentinel://h1", "names no service"),
        ("redis+sentinel://h1/forge/x", "database that is not a number"),
        ("redis+cluster://h1/2", "database 0 alone"),
        ("redis+unix://h1", "begins with"),
    ],
)
def test_what_a_url_cannot_mean(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make_client(url)
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value) and "secret" not in str(refused.value)


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
def test_a_tls_file_that_is_not_there(option: str) -> None:
    with pytest.raises(ConfigError, match="TLS file that cannot be used"):
        make_client(f"rediss://h1?{option}=/nowhere.pem")
    with pytest.raises(ConfigError, match="without its ssl_certfile"):
        make_client("rediss://h1?ssl_keyfile=/nowhere.pem")


def test_a_password_is_in_no_picture_of_a_client() -> None:
    for url in (
        "redis://ann:hunter2@h1",
        "redis+sentinel://:hunter2@h1/forge",
        "redis+cluster://:hunter2@h1",
    ):
        assert "hunter2" not in repr(make_client(url)) and "hunter2" not in repr(parse_redis_url(url))


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("EVALSHA", "digest", 1, "ns:{0}:", "x"), b"ns:{0}:"),
        (("EVAL", "return 1", 0), None),
        (("BZPOPMIN", "a", "b", 1.0), b"a"),
        (("GET", b"k"), b"k"),
        (("MEMORY USAGE", "k"), b"k"),
        (("OBJECT", "ENCODING", "k"), b"k"),
        (("SCRIPT", "LOAD", "text"), None),
        (("SCRIPT LOAD", "text"), None),
        (("WAIT", 1, 100), None),
        (("TIME",), None),
    ],
)
def test_the_key_that_says_where_a_command_goes(command: tuple[object, ...], key: bytes | None) -> None:
    assert key_of(command) == key


@pytest.mark.parametrize("command", ["worker", "server", "doctor"])
def test_commands_end_with_2_and_one_sentence(command: str, tmp_path: Path) -> None:
    env = environment("redis+sentinel://:hunter2@h1", "t", BIND_ADDR="127.0.0.1:0")
    found = subprocess.run(
        ironforge(command), env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )  # fmt: skip
    assert found.returncode == 2, found.stderr
    assert "names no service" in found.stderr
    assert "Traceback" not in found.stderr and "hunter2" not in found.stderr


def test_settings_in_words_hold_no_password() -> None:
    assert "hunter2" not in repr(config.Settings(redis_url="redis://:hunter2@h1"))
