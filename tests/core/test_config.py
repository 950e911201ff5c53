from __future__ import annotations

from pathlib import Path

import pytest

from ironforge import config
from ironforge.errors import ConfigError


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in config.ENVIRONMENT.values():
        monkeypatch.delenv(variable, raising=False)


def test_flag_beats_environment_beats_file_beats_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.load(tmp_path).namespace == "ironforge"
    (tmp_path / "ironforge.toml").write_text('namespace = "file"\nlog = "debug"\n')
    assert config.load(tmp_path).namespace == "file"
    monkeypatch.setenv("IRONFORGE_NAMESPACE", "env")
    assert config.load(tmp_path).namespace == "env"
    found = config.load(tmp_path, namespace="flag", url=None)
    assert (found.namespace, found.log) == ("flag", "debug")
    assert found.explicit == {"namespace", "log"}


def test_pyproject_serves_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.ironforge]\nbind_addr = "127.0.0.1:4000"\n')
    assert config.load(tmp_path).server_url == "http://127.0.0.1:4000"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"namespace": "Has Space"}, "namespace"), ({"bind_addr": "nowhere"}, "HOST:PORT"),
        ({"bind_addr": "127.0.0.1:99999"}, "HOST:PORT"), ({"log_format": "xml"}, "json or console"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_sentence(tmp_path: Path, flags: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config.load(tmp_path, **flags)


def test_an_unknown_setting_in_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ironforge.toml").write_text('redis = "x"\n')
    with pytest.raises(ConfigError, match="'redis'"):
        config.load(tmp_path)


@pytest.mark.parametrize(
    ("bind", "loopback", "url"),
    [
        ("127.0.0.1:3000", True, "http://127.0.0.1:3000"), ("0.0.0.0:80", False, "http://127.0.0.1:80"),
        ("[::1]:3000", True, "http://[::1]:3000"), ("10.1.2.3:3000", False, "http://10.1.2.3:3000"),
    ],
)  # fmt: skip
def test_addresses(tmp_path: Path, bind: str, loopback: bool, url: str) -> None:
    found = config.load(tmp_path, bind_addr=bind)
    assert (found.is_loopback, found.server_url) == (loopback, url)


def test_a_token_is_not_shown(tmp_path: Path) -> None:
    assert "s3cret" not in repr(config.load(tmp_path, token="s3cret"))
