"""Where a rule's choices come from: a seeded random source, a recorded list, or Hypothesis. One primitive: `below`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Choices(Protocol):
    def below(self, bound: int) -> int:
        """0 … bound - 1. Smaller is simpler."""
        ...


class RandomChoices:
    """Draws and remembers what it drew, so that a failing sequence can be cut down and played again."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self.drawn: list[int] = []

    def below(self, bound: int) -> int:
        found = int(self._source.random() * bound)
        self.drawn.append(found)
        return found


class RecordedChoices:
    """Plays a record; a choice that no longer fits is taken modulo its bound, one that is missing is 0."""

    def __init__(self, drawn: Sequence[int]) -> None:
        self._left = iter(drawn)

    def below(self, bound: int) -> int:
        return next(self._left, 0) % bound


def pick(choices: Choices, options: Sequence[T]) -> T:
    return options[choices.below(len(options))]


def chance(choices: Choices, percent: int) -> bool:
    """True in `percent` of 100; the simplest choice is False."""
    return choices.below(100) >= 100 - percent
