from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from ironforge import logs
from ironforge.errors import ConfigError
from ironforge.safe_text import safe_text

HOSTILE = "a\nb\x1b]0;title\x07\u2028c\u202e[/red]"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:], logging.root.level = handlers, level
    for name in ("ironforge.worker", "ironforge.server"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def _logged(form: str, levels: str = "info") -> str:
    stream = io.StringIO()
    logs.configure(levels, form, stream)
    logging.getLogger("ironforge.worker").info("hello %s", HOSTILE, extra={"job_id": HOSTILE})
    return stream.getvalue()


def test_json_is_one_record_a_line_whatever_the_text() -> None:
    text = _logged("json")
    assert text.count("\n") == 1
    record = json.loads(text)
    assert record["message"] == f"hello {HOSTILE}" and record["job_id"] == HOSTILE
    assert (record["level"], record["logger"]) == ("info", "ironforge.worker")


def test_on_a_terminal_no_control_character_gets_through() -> None:
    text = _logged("console")
    assert text.count("\n") == 1
    assert "\x1b" not in text and "\u202e" not in text and "␛" in text


def test_levels_per_logger() -> None:
    assert _logged("json", "warning") == ""
    assert _logged("json", "warning,ironforge.worker=debug") != ""


def test_an_unknown_level_is_said() -> None:
    with pytest.raises(ConfigError, match="loud"):
        logs.configure("loud", "json", io.StringIO())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"), ("\x1b[31m", "␛[31m"), ("a\tb", "a    b"), ("a\nb", "a␊b"), ("\x7f", "␡"), ("\x9b", "\\u009b"),
        ("\u202e", "\\u202e"), ("\u2028", "\\u2028"), ("\ud800", "\\ud800"), ("日本 é", "日本 é"), ("\U000e0001", "\\U000e0001"),
    ],
)  # fmt: skip
def test_safe_text(text: str, shown: str) -> None:
    assert safe_text(text) == shown


def test_safe_text_is_cut_and_keeps_lines_where_asked() -> None:
    assert safe_text("x" * 1000, 10) == "x" * 9 + "…"
    assert safe_text("a\nb", multiline=True) == "a\nb"
