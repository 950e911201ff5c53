"""What can be said of deploy/ without a container engine."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ironforge import config
from ironforge.cli import server, worker
from ironforge.worker.loading import load_forge
from tests.needs import needs

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    server.add_parser(commands)
    worker.add_parser(commands)
    return parser.parse_args(words)


@pytest.fixture
def services() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def dockerfile() -> list[list[str]]:
    """Its instructions, as words."""
    joined = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [
        shlex.split(line)
        for line in joined.splitlines()
        if line and not line.startswith("#") and "CMD" not in line
    ]


def test_redis_keeps_its_data_and_evicts_nothing(services: dict[str, Any]) -> None:
    command = " ".join(services["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert services["redis"]["volumes"] == ["redis:/data"]
    assert "ports" not in services["redis"]


def test_the_server_does_not_start_without_a_token(services: dict[str, Any]) -> None:
    environment = services["server"]["environment"]
    assert environment["IRONFORGE_TOKEN"].startswith("${IRONFORGE_TOKEN:?")
    assert environment["BIND_ADDR"] == "0.0.0.0:3000"
    assert "server" in environment["IRONFORGE_ALLOWED_HOSTS"]  # the name Prometheus calls it by


def test_every_service_but_the_worker_says_whether_it_is_well(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" in service} >= {"redis", "server"}


@pytest.mark.parametrize("name", ["server", "worker"])
def test_commands_and_variables_exist(services: dict[str, Any], name: str) -> None:
    program, *words = services[name]["command"]
    assert program == "ironforge"
    parsed(*words)
    unknown = set(services[name]["environment"]) - set(config.ENVIRONMENT.values())
    assert not unknown
    assert services[name]["environment"]["REDIS_URL"] == "redis://redis:6379"


def test_the_worker_serves_a_forge_of_the_examples(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / "examples")  # the image's working folder
    monkeypatch.syspath_prepend(ROOT / "examples")
    assert load_forge(services["worker"]["command"][2]).tasks.catch_all


def test_a_worker_is_given_longer_to_stop_than_it_takes(services: dict[str, Any]) -> None:
    grace = re.fullmatch(r"(\d+)s", services["worker"]["stop_grace_period"])
    assert grace
    assert int(grace[1]) > parsed("worker").shutdown_timeout + 10


def test_the_image_is_made_in_two_stages_from_pins_and_runs_as_nobody_special() -> None:
    instructions = dockerfile()
    stages = [words for words in instructions if words[0] == "FROM"]
    assert [words[1] for words in stages] == ["python:3.11-slim"] * 2
    last = instructions[instructions.index(stages[1]) :]
    assert [words for words in last if words[0] == "USER"][-1] == ["USER", "10001"]
    installs = " ".join(" ".join(words) for words in instructions if words[0] == "RUN")
    assert "--require-hashes -r constraints.txt" in installs
    assert "--no-deps --no-build-isolation" in installs


def test_the_image_copies_what_exists_and_what_is_not_ignored() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    for words in dockerfile():
        if words[0] == "COPY" and not words[1].startswith("--from"):
            for source in words[1:-1]:
                assert (ROOT / source.removeprefix("./")).exists()
                assert source.removeprefix("./") in kept


def test_prometheus_asks_the_server_with_the_token_it_is_given(services: dict[str, Any]) -> None:
    scrape = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scrape["static_configs"] == [{"targets": ["server:3000"]}]
    assert f"./token:{scrape['authorization']['credentials_file']}:ro" in services["prometheus"]["volumes"]


@needs("promtool")
def test_prometheus_understands_its_configuration() -> None:
    command = ["promtool", "check", "config", "--syntax-only", str(DEPLOY / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
