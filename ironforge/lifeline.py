"""A pipe that ties a process to the one that started it: when the starter dies, even by SIGKILL, the other ends too.

The starter holds the writing end and never writes; the kernel closes it with the process. The started one blocks on
the reading end in a thread and ends itself gracefully at end-of-file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

VARIABLE = "IRONFORGE_LIFELINE"
HARD_EXIT = 70


@dataclass(slots=True)
class Tied:
    """A started process and our end of its lifeline."""

    process: subprocess.Popen[bytes]
    _writing_end: int

    def release(self) -> None:
        """Asks it to end, as our death would. May be called again."""
        if self._writing_end >= 0:
            os.close(self._writing_end)
            self._writing_end = -1


def tie(argv: Sequence[str], *, inherit: Sequence[int] = (), **popen: Any) -> Tied:
    """Starts a process that calls `watch`. It inherits the descriptors given; keyword arguments go to Popen."""
    reading, writing = os.pipe()
    try:
        environment = dict(popen.pop("env", None) or os.environ)
        environment[VARIABLE] = str(reading)
        process = subprocess.Popen[bytes](list(argv), env=environment, pass_fds=(reading, *inherit), **popen)
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return Tied(process, writing)


def watch(on_loss: Callable[[], None] | None = None, *, hard_exit_after_s: float = 10.0) -> None:
    """Call early in a process that may have been tied; does nothing in one that was not.

    Args:
        on_loss: called in a thread when the starter is gone; the default sends SIGTERM to this process.
        hard_exit_after_s: this process is ended without further ado so long after that.
    """
    found = os.environ.pop(VARIABLE, None)  # not for our own children
    if found is None:
        return
    reading = int(found)
    os.set_inheritable(reading, False)
    threading.Thread(
        target=_wait_for_loss,
        args=(reading, on_loss or _terminate, hard_exit_after_s),
        name="lifeline",
        daemon=True,
    ).start()


def _wait_for_loss(reading: int, on_loss: Callable[[], None], hard_exit_after_s: float) -> None:
    while os.read(reading, 1):  # nobody writes; end-of-file is the message
        pass
    try:
        on_loss()
        time.sleep(hard_exit_after_s)
    finally:
        os._exit(HARD_EXIT)


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
