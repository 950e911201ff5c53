"""What a namespace was made with, and which versions may work on it: fields of its `meta` hash.

| field | content |
|---|---|
| made_by, format | version of IronForge that came first, and the form in which it stores jobs |
| needs:<form> | a version beside which processes of an older form cannot work; they refuse to start |
"""

from __future__ import annotations

import asyncio
from typing import Any

from ironforge import __version__
from ironforge.errors import StartupError
from ironforge.job import FORMAT
from ironforge.queue.connection import store_errors
from ironforge.queue.keys import namespace_meta

# Processes of an older form than this cannot work beside this version. See docs/upgrades.md before raising it.
OLDEST_BESIDE = 1


async def agree(client: Any, namespace: str) -> None:
    """Leaves in `meta` what this version is, once. Raises StartupError when the namespace has moved beyond it."""
    meta = namespace_meta(namespace)
    with store_errors():
        found: dict[bytes, bytes] = await client.execute_command("HGETALL", meta)
        refuse_outdated(found, namespace)
        ours: dict[str, str | int] = {"made_by": __version__, "format": FORMAT}
        if OLDEST_BESIDE > 1:
            ours[f"needs:{OLDEST_BESIDE}"] = __version__
        missing = {name: value for name, value in ours.items() if name.encode() not in found}
        # One field each, never changed: whoever comes at the same time writes the same, or is first.
        await asyncio.gather(
            *(client.execute_command("HSETNX", meta, name, value) for name, value in missing.items())
        )


def refuse_outdated(meta: dict[bytes, bytes], namespace: str) -> None:
    """Raises StartupError for a namespace beside whose processes this version cannot work."""
    for name, version in meta.items():
        what, _, form = name.partition(b":")
        if what == b"needs" and form.isdigit() and int(form) > FORMAT:
            raise StartupError(
                f"namespace {namespace!r} is used by IronForge {version.decode('utf-8', 'replace')}, beside which "
                f"this version ({__version__}) cannot work; upgrade it here too"
            )
