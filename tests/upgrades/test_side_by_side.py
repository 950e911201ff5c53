"""This version and the next as real workers on one namespace, some of them killed: nothing is lost, nothing misread."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from ironforge.job import FORMAT
from ironforge.queue.backend import RedisQueue
from tests.system.processes import ironforge
from tests.upgrades.fleet import Version, side_by_side
from tests.upgrades.variant import VERSION, make_next

JOBS, KILLS = 2_000, 4


@pytest.fixture
def old(redis_url: str, namespace: str, tmp_path: Path) -> Version:
    return Version(tmp_path, "old", redis_url, namespace)


@pytest.fixture
def new(redis_url: str, namespace: str, tmp_path: Path) -> Version:
    return Version(tmp_path, "new", redis_url, namespace, make_next(tmp_path / "next"))


async def test_a_rolling_deploy_with_kills(queue: RedisQueue, old: Version, new: Version) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1_000_000)))
    print(f"SEED={seed}")
    found = await side_by_side(queue, old, new, JOBS, KILLS, random.Random(seed))
    assert (found.lost, found.misread, found.charged) == (0, 0, 0), found
    assert found.newer == JOBS // 2 and found.refused > 0, "the older version met jobs of the newer form"
    assert found.runs[FORMAT] > 0 and found.runs[FORMAT + 1] > found.newer, "both worked on the older form"


def test_a_namespace_that_moved_on_refuses_an_older_version(
    old: Version, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    home = make_next(tmp_path / "next", beside=False)
    Version(tmp_path, "new", redis_url, namespace, home).produce(0, 1)
    for command in (("worker", "tests.upgrades.tasks:forge"), ("server",), ("doctor",)):
        done = subprocess.run(
            ironforge(*command), env={**old.env, "BIND_ADDR": "127.0.0.1:0"}, cwd=tmp_path, capture_output=True,
            text=True, timeout=30, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == 1 and f"used by IronForge {VERSION}" in said, (command, said)
        assert "Traceback" not in said
