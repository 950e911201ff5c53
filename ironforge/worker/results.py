"""What a handler returned, as it is stored."""

from __future__ import annotations

import json
import logging
from typing import Any

log = logging.getLogger("ironforge.worker")
MAX_RESULT_BYTES = 256 * 1024


def result_json(result: Any, about: dict[str, str]) -> bytes | None:
    """The stored result, None for None; one that is not JSON, or too large, is replaced by words that say so.

    Args:
        result: whatever the handler returned.
        about: job_id and kind, for the log.
    """
    if result is None:
        return None
    try:
        stored = json.dumps(result, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except BaseException as error:  # whatever its own methods raise
        log.warning("the result is not JSON (%s); kept as text", type(error).__name__, extra=about)
        stored = _as_words(result)
    if len(stored) > MAX_RESULT_BYTES:
        return json.dumps(f"(a result of {len(stored):,} bytes was not kept)").encode()
    return stored


def _as_words(result: Any) -> bytes:
    try:
        return json.dumps(repr(result)[:1000]).encode()
    except BaseException:
        return b'"(a result that is not JSON)"'
