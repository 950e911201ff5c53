"""Tables and JSON as they are printed."""

from __future__ import annotations

import json

import pytest

from ironforge.cli import output


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return monkeypatch


def test_columns_are_aligned_by_what_a_terminal_shows(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("NAME", "N"), [("日本", 5), ("abc", 10), (None, None)], "")
    assert capsys.readouterr().out == "NAME   N\n日本   5\nabc   10\n-      -\n"


def test_a_cell_cannot_move_the_cursor_or_add_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("A", "B"), [("x\x1b[2J\ny", "z")], "")
    assert capsys.readouterr().out.splitlines()[1] == "x␛[2J␊y  z"


def test_a_terminal_gets_colours_on_whole_cells_only(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output.print_table(("KIND", "STATUS"), [("dead.mail", "dead")], "")
    assert capsys.readouterr().out.splitlines()[1] == "dead.mail  \x1b[31mdead\x1b[0m"
    terminal.setenv("NO_COLOR", "1")
    output.print_table(("KIND", "STATUS"), [("dead.mail", "dead")], "")
    assert "\x1b" not in capsys.readouterr().out


def test_lines_end_at_the_terminal_s_edge(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output.print_table(("A", "ERROR"), [("abc", "日" * 40)], "")
    line = capsys.readouterr().out.splitlines()[1]
    assert line == "abc  " + "日" * 12 + "…"


def test_nothing_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("A",), [], "nothing is dead")
    assert capsys.readouterr().out == "nothing is dead\n"


@pytest.mark.parametrize(
    "value",
    [{}, [], {"a": []}, [[], {}, [1]], {"a": {"b": [1, {"c": None}]}, "d": 'x,":{}[]\\"'}, "text", 1.5, None],
)
def test_json_is_indented_as_python_does(value: object) -> None:
    assert output.indented(json.dumps(value)) == json.dumps(value, indent=2)


def test_json_hides_what_a_terminal_would_obey() -> None:
    shown = output.indented('{"a": "\x9b31m\u202e\u200f é 日"}')
    assert not set(shown) & {"\x9b", "\u202e", "\u200f"}
    assert json.loads(shown) == {"a": "\x9b31m\u202e\u200f é 日"}
