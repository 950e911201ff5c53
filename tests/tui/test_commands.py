from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ironforge.tui import commands
from ironforge.tui.commands import ALL, COMMANDS, commands_of
from ironforge.tui.dialogs.menu import help_lines


@pytest.mark.parametrize("view", ALL)
def test_a_key_means_one_thing_in_a_view(view: str) -> None:
    keys = Counter(key for command in commands_of(view) for key in command.keys)
    assert [key for key, times in keys.items() if times > 1] == []


def test_every_command_is_carried_out_somewhere() -> None:
    """No key that does nothing: each id is a case of a view, of what looks, or of what changes."""
    folder = Path(commands.__file__).parent
    code = "\n".join(path.read_text() for path in folder.rglob("*.py") if path.name != "commands.py")
    for command in COMMANDS:
        assert f'"{command.id}"' in code or f"view.{command.id.removeprefix('view.')}" in code, command.id


def test_keys_of_later_issues_are_not_there() -> None:
    keys = {key for command in COMMANDS for key in command.keys}
    assert not keys & {"5", "6", "U", "E", "K", "X", "T", "Q"}


def test_capitals_change_the_system_and_nothing_else_does() -> None:
    for command in COMMANDS:
        capital = command.shown.isupper() and len(command.shown) == 1
        assert (command.danger is not None) is capital, command.id


@pytest.mark.parametrize("view", ALL)
def test_help_names_every_command_of_the_view(view: str) -> None:
    text = "\n".join("".join(part for part, _ in line) for line in help_lines(commands_of(view)))
    for command in commands_of(view):
        assert command.title in text and command.shown in text
