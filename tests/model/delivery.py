"""How a call reaches the server: whole, cut at some command, or with another client between its commands."""

from __future__ import annotations

from tests.model.choices import Choices, chance
from tests.model.machine import Client, Machine, Verb

KEPT = 12  # verbs that may be sent again
_MOST_WAITING = 2


def deliver(machine: Machine, choices: Choices, verb: Verb) -> None:
    """Mostly whole. Whatever was sent may be sent again later, as a caller does who heard nothing."""
    machine.memory.sent.append(verb)
    del machine.memory.sent[:-KEPT]
    way = choices.below(100)
    if way < 86:
        machine.tell(verb.words)
        machine.do(verb)
        return
    client = machine.begin(verb)
    _some_commands(machine, choices, client)
    if client.hop is None:
        machine.tell(verb.words)
    elif way < 92 and len(machine.waiting) < _MOST_WAITING:
        machine.tell(f"{verb.words} (held up before {client.hop.arguments[0]})")
        machine.waiting.append(client)
    elif way < 96:
        machine.tell(f"{verb.words} (request lost)")
        machine.fail(client)
    else:
        machine.tell(f"{verb.words} (reply lost)")
        machine.answer(client, lose_reply=True)


def _some_commands(machine: Machine, choices: Choices, client: Client) -> None:
    while client.hop is not None and chance(choices, 50):
        machine.answer(client)
