"""Tasks for these tests: those of the system tests, and one whose jobs are large."""

from __future__ import annotations

from ironforge.errors import NotConfirmed
from tests.system.tasks_forge import forge as forge
from tests.system.tasks_forge import note


@forge.task("padded")
async def padded(mark: int = 0, padding: str = "") -> int:
    note("ran", mark)
    return mark + len(padding)


@forge.task("submits")
async def submits(mark: int = 0) -> None:
    try:
        await forge.enqueue("padded", {"mark": mark})
    except NotConfirmed:
        note("unsure", mark)
    else:
        note("sure", mark)
