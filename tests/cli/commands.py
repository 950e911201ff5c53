"""Runs commands: in this process, which is quick, or as a process of its own where that matters."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from ironforge.cli.main import main
from ironforge.job import loads_any_int
from tests.system.processes import ironforge


@dataclass(frozen=True)
class Ran:
    stdout: str
    stderr: str


def run(env: dict[str, str], *words: str, stdin: str = "", code: int = 0) -> Ran:
    """The command in this process, under this environment; it must end with `code`."""
    streams = [io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")]
    streams += [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name not in env]:
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            patch.setattr(sys, name, stream)
        try:
            returned = main(words)
        except SystemExit as end:
            returned = end.code
    texts = []
    for stream in streams[1:]:
        stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        texts.append(stream.buffer.getvalue().decode())
    return _checked(Ran(*texts), returned, code)


def run_process(env: dict[str, str], *words: str, code: int = 0) -> Ran:
    """The same as a process."""
    done = subprocess.run(
        ironforge(*words), env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    return _checked(Ran(done.stdout, done.stderr), done.returncode, code)


def document(env: dict[str, str], *words: str, code: int = 0) -> Any:
    """What the command prints with --json."""
    return loads_any_int(run(env, *words, "--json", code=code).stdout)


def submitted(env: dict[str, str], *words: str) -> str:
    """The id of a job that does not run by itself in this test."""
    return run(env, "submit", *words, "--delay", "3600").stdout.strip()


def _checked(ran: Ran, returned: object, code: int) -> Ran:
    assert returned == code, (returned, ran)
    assert "Traceback" not in ran.stderr and "this is a bug" not in ran.stderr, ran.stderr
    return ran
