"""The Redis that a test run is made on: see IRONFORGE_TEST_REDIS and IRONFORGE_TEST_FORM in tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ironforge.queue.acl import acl_line
from tests.forms.nodes import Cluster, Node, Watched


@contextmanager
def served(form: str, folder: Path, binary: str) -> Iterator[str]:
    """The URL of a running Redis of that form."""
    if form == "acl":
        with _restricted(folder, binary) as url:
            yield url
        return
    rig = {"sentinel": Watched, "cluster": Cluster}[form](folder, binary)
    try:
        yield rig.start().url
    finally:
        rig.stop()


@contextmanager
def _restricted(folder: Path, binary: str) -> Iterator[str]:
    """As the least-privilege user. At the end no command of it was refused but CONFIG GET, which it goes without."""
    node = Node(folder, binary).start()
    try:
        # Each test has a namespace of its own, which begins with t; its clock is moved by INCRBY.
        line = acl_line("NAMESPACE").replace("~NAMESPACE:*", "~t[0-9a-f]*:*") + " +incrby"
        node.ask(*line.replace("PASSWORD", "s3cret").split())
        yield f"redis://ironforge:s3cret@127.0.0.1:{node.port}"
        refused = {_field(entry, "object") for entry in node.ask("ACL", "LOG", 1000)}
        assert refused <= {"config|get"}, refused
    finally:
        node.stop()


def _field(entry: Any, name: str) -> str:
    fields = entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=True))
    return str(fields[name])
