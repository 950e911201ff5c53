"""Tests that want a tool of the system: skipped by name where it is absent, failed where CI should have installed it."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(*tools: str) -> pytest.MarkDecorator:
    """A mark for a test, or a module's `pytestmark`. Under IRONFORGE_CI a missing tool is an error at collection."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing and os.environ.get("IRONFORGE_CI"):
        raise RuntimeError(f"CI lacks {', '.join(missing)}; .ci/run should install what tests need")
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")
