"""One server and one worker for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.processes import await_port, await_text, environment, free_port, ironforge, running


@pytest.fixture(scope="module")
def env(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("cli")
    port = free_port()
    namespace = f"cli-{request.module.__name__.rpartition('.')[2].replace('_', '-')}"[:32]
    env = environment(redis_url, namespace, BIND_ADDR=f"127.0.0.1:{port}")
    with (
        running(ironforge("server"), env, folder / "server.log"),
        running(ironforge("worker", "--queues", "default"), env, folder / "worker.log"),
    ):
        await_port(port)
        await_text(folder / "worker.log", "worker ready")
        yield env
