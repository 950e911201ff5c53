"""Structured logs: JSON, a record a line, when nobody watches; readable and coloured on a terminal."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import Any, TextIO, cast

from ironforge.errors import ConfigError
from ironforge.safe_text import safe_text

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "critical": 50}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def configure(levels: str = "info", form: str | None = None, stream: TextIO | None = None) -> None:
    """Sets up all logging of this process.

    Args:
        levels: a level, also per logger: `info,ironforge.worker=debug`.
        form: json or console; None chooses json when the stream is not a terminal.
        stream: stderr by default.

    Raises:
        ConfigError: a level that does not exist.
    """
    written_to: TextIO = stream or cast(TextIO, sys.stderr)
    form = form or ("console" if written_to.isatty() else "json")
    handler = logging.StreamHandler(written_to)
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter(_wants_colour(written_to)))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    for part in levels.split(","):
        name, _, level = part.strip().rpartition("=")
        if level.lower() not in _LEVELS:
            raise ConfigError(f"IRONFORGE_LOG names a level {level!r}; use one of {', '.join(_LEVELS)}")
        logging.getLogger(name).setLevel(_LEVELS[level.lower()])


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": _stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class ConsoleFormatter(logging.Formatter):
    """`12:04:31 INFO  message  key=value …`: one line, no control character of anybody's text gets through."""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname:<8}"
        if self._colour:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        pairs = "".join(f"  {name}={safe_text(str(value), 200)}" for name, value in _extra(record).items())
        text = f"{clock} {level} {safe_text(record.getMessage(), 2_000)}{pairs}"
        if record.exc_info:
            text += "\n" + safe_text(self.formatException(record.exc_info), 20_000, multiline=True)
        return text


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
