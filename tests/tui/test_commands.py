from __future__ import annotations

from collections import Counter

import pytest

from ironforge.tui.commands import ALL, COMMANDS, commands_of
from ironforge.tui.dialogs.menu import help_lines


@pytest.mark.parametrize("view", ALL)
def test_a_key_means_one_thing_in_a_view(view: str) -> None:
    keys = Counter(key for command in commands_of(view) for key in command.keys)
    assert [key for key, times in keys.items() if times > 1] == []


def test_capitals_change_the_system_and_nothing_else_does() -> None:
    for command in COMMANDS:
        capital = command.shown.isupper() and len(command.shown) == 1
        assert (command.danger is not None) is capital, command.id


@pytest.mark.parametrize("view", ALL)
def test_help_names_every_command_of_the_view(view: str) -> None:
    text = "\n".join("".join(part for part, _ in line) for line in help_lines(commands_of(view)))
    for command in commands_of(view):
        assert command.title in text and command.shown in text
