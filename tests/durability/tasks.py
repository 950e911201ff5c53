"""Tasks for these tests: those of the system tests, and one whose jobs are large."""

from __future__ import annotations

from tests.system.tasks_forge import forge as forge
from tests.system.tasks_forge import note


@forge.task("padded")
async def padded(mark: int = 0, padding: str = "") -> int:
    note("ran", mark)
    return mark + len(padding)
