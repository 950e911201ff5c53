"""What tests of workers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench import Bench


@pytest.fixture
def bench(redis_url: str, namespace: str, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(redis_url, namespace, tmp_path)
    yield bench
    bench.close()
