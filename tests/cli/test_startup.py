"""What the commands do not load: the answer to --help has to be there at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"asyncio", "httpx", "pydantic", "redis", "fastapi", "textual", "platformdirs"}
_PROGRAM = """
import sys
from ironforge.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (["--help"], set[str]()),
        (["--version"], set[str]()),
        (["frobnicate"], set[str]()),
        (["jobs", "--help"], set[str]()),
        (["submit", "--help"], set[str]()),
        (["worker", "--help"], set[str]()),
        (["console", "--help"], set[str]()),
        (["doctor", "--help"], {"asyncio"}),
    ],
)
def test_asked_for_help_it_loads_nothing_heavy(words: list[str], allowed: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, timeout=30
    )
    loaded = set(done.stderr.split())
    assert "ironforge.cli.main" in loaded
    assert loaded & HEAVY <= allowed
