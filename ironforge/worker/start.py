"""The first module of a worker's processes. It imports next to nothing: signals are answered from their first moment.

`python -m ironforge.worker.start child ORDER`   see child.py; asked to end while its module is imported, it ends with 0
`python -m ironforge.worker.start handlers`      see process_main.py; its worker decides when it ends
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


def _go_on(_number: int, _frame: FrameType | None) -> None:
    """Service managers ask every process at once to end. A function, for ignored signals would be inherited."""


_ROLES = {"child": ("ironforge.worker.child", _end), "handlers": ("ironforge.worker.process_main", _go_on)}


def main() -> None:
    module, answer = _ROLES[sys.argv.pop(1)]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, answer)
    importlib.import_module(module).main()


if __name__ == "__main__":
    main()
