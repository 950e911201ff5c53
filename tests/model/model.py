"""The model of every transition, and of time. Its parts are files: producing, working, operating, maintaining."""

from __future__ import annotations

from tests.model.model_maintaining import Maintaining
from tests.model.model_operating import Operating
from tests.model.model_producing import Producing
from tests.model.model_working import Working


class Model(Producing, Working, Operating, Maintaining):
    """One namespace. Answers are what the scripts reply, with ints and bytes as a client sees them."""

    def move_clock(self, us: int) -> list[str]:
        """Returns the names of the keys that are over now: the server's own clock did not move with this one."""
        self.now_us += us
        over = [name for name, ending in self.strings.items() if ending.over_ms <= self.now_ms]
        for name in over:
            self.drop_string(name)
        for slot in [slot for slot, ending in self.slots.items() if ending.over_ms <= self.now_ms]:
            over.append(f"stats:{slot}")
            del self.slots[slot]
            self.keys.pop(b"stats:%d" % slot, None)
        return over
