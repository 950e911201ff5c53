"""The stack of a loop that does not turn, as a person reads it: the worker's own frames left out, the innermost last."""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

FRAMES = 12
_OURS = str(Path(__file__).parent)
_DUMPED = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
_BELOW_HANDLERS = re.compile(r"/asyncio/(base_events|events|runners)\.py$|<frozen runpy>$")


def stack_of_frame(frame: FrameType | None) -> str:
    """Of a thread of this process."""
    if frame is None:
        return ""
    return "".join(
        traceback.format_list(_users([(at.filename, at) for at in traceback.extract_stack(frame)]))
    )


def stack_of_dump(dump: str) -> str:
    """Of another process, from what faulthandler wrote there: innermost first, without the lines of code."""
    found = [
        (
            name,
            traceback.FrameSummary(
                name, int(number), function, lookup_line=False, line=_line(name, int(number))
            ),
        )
        for name, number, function in reversed(_DUMPED.findall(dump))
    ]
    return "".join(traceback.format_list(_users(found)))


def _users(frames: Sequence[tuple[str, traceback.FrameSummary]]) -> list[traceback.FrameSummary]:
    kept = [
        frame for name, frame in frames if not name.startswith(_OURS) and not _BELOW_HANDLERS.search(name)
    ]
    return kept[-FRAMES:]


def _line(name: str, number: int) -> str:
    return linecache.getline(name, number).strip()
