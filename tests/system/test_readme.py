"""The README's scenarios, exactly as they stand there, against a server and a routing worker in separate processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import needs
from tests.system.documents import README, bash, blocks, section
from tests.system.processes import ROOT, await_port, await_text, environment, free_port, ironforge, running
from tests.waiting import wait_until

pytestmark = needs("bash", "curl", "jq")


def _scenarios() -> dict[str, str]:
    parts = section(README, "Four scenarios to paste").split("\n### ")[1:]
    titles = [part.split("\n", 1)[0].split(" ", 1)[1] for part in parts]
    return {title: blocks(part, "bash")[0] for title, part in zip(titles, parts, strict=True)}


@pytest.fixture(scope="module")
def shell(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user's shell, with server and worker running beside it."""
    folder = tmp_path_factory.mktemp("readme")
    port = free_port()
    env = environment(
        redis_url, "readme", BIND_ADDR=f"127.0.0.1:{port}", IRONFORGE_URL=f"http://127.0.0.1:{port}"
    )
    worker = ironforge("worker", "routing_worker:forge", "--concurrency", "1")
    with (
        running(ironforge("server"), env, folder / "server.log"),
        running(worker, env, folder / "worker.log", cwd=ROOT / "examples"),
    ):
        await_port(port)
        await_text(folder / "worker.log", "worker ready")
        yield {**env, "LOG": str(folder / "worker.log")}


def test_there_are_four() -> None:
    assert len(_scenarios()) == 4


def test_a_job_runs(shell: dict[str, str]) -> None:
    shown = bash(_scenarios()["A job runs"], shell)
    assert '"status": "completed"' in shown and '"delivered_to": "test@example.com"' in shown


def test_failing_retrying_dying_and_coming_back(shell: dict[str, str]) -> None:
    shown = bash(_scenarios()["A job fails, retries and dies"], shell)
    assert '"status": "retrying"' in shown and '"retry_count": 1' in shown and "asked to fail" in shown
    assert '"dlq_depth": 1' in shown
    shown = bash(_scenarios()["Re-injection from the dead letter queue"], shell)
    assert '"error_type": "RuntimeError"' in shown and '"generation": 1' in shown
    dead = re.search(r'"id": "(.+)"', shown)
    assert dead and f'"retry_of": "{dead[1]}"' in shown and '"status": "completed"' in shown


def test_priorities(shell: dict[str, str]) -> None:
    shown = bash(_scenarios()["Priorities"], shell).splitlines()
    order = ["critical", "medium", "low"]
    assert [line for line in shown if line in order] == order
    assert '  "paused": false' in shown

    def ran() -> list[str]:
        lines = [json.loads(line) for line in Path(shell["LOG"]).read_text().splitlines()]
        return [line["kind"] for line in lines if line["message"] == "unknown job type"]

    wait_until(lambda: len(ran()) == 3, 15, "the worker took all three, with a warning")
    assert ran() == order


def test_the_shop_of_the_first_page(redis_url: str, tmp_path: Path) -> None:
    """Its file, its commands and its Python, as they stand there."""
    text = section(README, "A worker and a job")
    shop, program = blocks(text, "python")
    _, commands = blocks(text, "sh")
    (tmp_path / "shop.py").write_text(shop)
    inner = "".join(f"        {line}\n" for line in program.splitlines())
    (tmp_path / "program.py").write_text(
        f"import asyncio\nfrom shop import *\n\nasync def main():\n    async with forge:\n{inner}\nasyncio.run(main())\n"
    )
    port = free_port()
    env = environment(
        redis_url, "shop", BIND_ADDR=f"127.0.0.1:{port}", IRONFORGE_URL=f"http://127.0.0.1:{port}"
    )
    with (
        running(ironforge("server"), env, tmp_path / "server.log", cwd=tmp_path),
        running(ironforge("worker", "shop:forge"), env, tmp_path / "worker.log", cwd=tmp_path),
    ):
        await_port(port)
        await_text(tmp_path / "worker.log", "worker ready")
        shown = bash(commands.replace("localhost:3000", f"localhost:{port}"), env, tmp_path)
        assert " completed\n" in shown and '"status":"scheduled"' in shown
        done = subprocess.run(
            [sys.executable, "program.py"], cwd=tmp_path, env=env, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        # Two from the shell, three and a hundred from the program; one of these waits for a minute.
        wait_until(lambda: _counts(port) == (104, 1, 0), 20, "all but one of the shop's jobs ran")


def _counts(port: int) -> tuple[int, int, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/queues", timeout=5) as answer:
        (queue,) = json.load(answer)["queues"]
    return queue["completed"], queue["scheduled"], queue["dead"]
