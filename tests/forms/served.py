"""The Redis that a test run is made on: see IRONFORGE_TEST_REDIS and IRONFORGE_TEST_FORM in tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.forms.nodes import Cluster, Watched


@contextmanager
def served(form: str, folder: Path, binary: str) -> Iterator[str]:
    """The URL of a running Redis of that form."""
    rig = {"sentinel": Watched, "cluster": Cluster}[form](folder, binary)
    try:
        yield rig.start().url
    finally:
        rig.stop()
