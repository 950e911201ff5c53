"""The README's scenarios, exactly as they stand there, against a server and a routing worker in separate processes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import needs
from tests.system.processes import ROOT, await_port, await_text, environment, free_port, ironforge, running

pytestmark = needs("bash", "curl", "jq")


def _scenarios() -> dict[str, str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## Four scenarios to paste", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"### \d\. (.+?)\n\n```bash\n(.+?)```", section, re.DOTALL))


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
        yield env


def _paste(scenario: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _scenarios()[scenario]],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_four() -> None:
    assert len(_scenarios()) == 4


def test_a_job_runs(shell: dict[str, str]) -> None:
    shown = _paste("A job runs", shell)
    assert '"status": "completed"' in shown and '"delivered_to": "test@example.com"' in shown


def test_failing_retrying_dying_and_coming_back(shell: dict[str, str]) -> None:
    shown = _paste("A job fails, retries and dies", shell)
    assert '"status": "retrying"' in shown and '"retry_count": 1' in shown and "asked to fail" in shown
    assert '"dlq_depth": 1' in shown
    shown = _paste("Re-injection from the dead letter queue", shell)
    assert '"error_type": "RuntimeError"' in shown
    assert '"generation": 1' in shown and '"retry_count": 0' in shown
    dead = Path("/tmp/ironforge-dead-job").read_text().strip()
    assert f'"retry_of": "{dead}"' in shown and '"status": "completed"' in shown


def test_priorities(shell: dict[str, str]) -> None:
    shown = _paste("Priorities", shell).splitlines()
    assert [line for line in shown if line in ("critical", "medium", "low")] == ["critical", "medium", "low"]
    assert '  "paused": false' in shown
