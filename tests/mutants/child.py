"""What happens in the process of one mutant: the scripts are put in place, the tests run until one fails.

The process was forked from one that has collected the tests already, and ends without any cleaning up: its server is its
parent's.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from _pytest.runner import runtestprotocol

from ironforge.queue import scripts
from tests.redis_server import RedisServer

_MODEL_SEED, _MODEL_TRANSITIONS = 1, 6_000
_READ = scripts._read
_REACHED = re.compile(rb"@(\d+)@")
_NOW_LINE = re.compile(r"^.*\blocal now_us =.*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Task:
    """
    Attributes:
        key: what the caller knows it by.
        texts: Lua files, without `.lua`, that are replaced.
        items: the tests to run, by their place in the collection.
        compiled: a script to compile first, '' for none.
        go_on: whether tests run on after one failed.
        model: whether the model has a look when all tests passed.
        silence_s: the longest time that one step may take: scripts that do not end are ended.
    """

    key: Any
    texts: Mapping[str, str]
    items: Sequence[int]
    compiled: str = ""
    go_on: bool = False
    model: bool = False
    silence_s: float = 30.0


@dataclass(slots=True)
class Told:
    """One line that the child says: what begins, or how it ended. what: an item, `compile` or `model`."""

    what: int | str
    ended: bool = False
    ok: bool = True
    seconds: float = 0.0
    why: str = ""
    reached: list[int] = field(default_factory=list[int])

    def line(self) -> bytes:
        return (
            json.dumps([self.what, self.ended, self.ok, self.seconds, self.why, self.reached]).encode()
            + b"\n"
        )

    @classmethod
    def of(cls, line: bytes) -> Told:
        return cls(*json.loads(line))


def put_in_place(texts: Mapping[str, str]) -> None:
    """From now on these files are read instead of those of the package. {} puts everything back."""

    def read(name: str) -> str:
        return texts[name] if name in texts else _READ(name)

    scripts._read = read
    scripts.script.cache_clear()
    # The clock that tests move is put in at this line; it may be the one that is changed.
    found = _NOW_LINE.search(read("_prelude"))
    if found and scripts._NOW not in found[0]:
        shift = scripts._SHIFTED_NOW.removeprefix(scripts._NOW.rstrip())
        scripts._NOW, scripts._SHIFTED_NOW = found[0], found[0].rstrip() + shift


def run_task(task: Task, items: Sequence[pytest.Item], server: RedisServer, pipe: int) -> None:
    """Runs to the end of the process; every step is told on the pipe."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with open(os.devnull, "r+b") as nothing:
            for at in (0, 1, 2):
                os.dup2(nothing.fileno(), at)
        _share(server)
        put_in_place(task.texts)
        client = redis.Redis(unix_socket_path=str(server.socket), protocol=3)
        client.script_flush()
        if (task.compiled and not _compile(task, client, pipe)) or not _run_tests(
            task, items, client, server, pipe
        ):
            return
        if task.model:
            _run_model(server, pipe)
    except BaseException:
        os.write(pipe, Told("child", True, False, why=traceback.format_exc()[-2000:]).line())
    finally:
        os._exit(0)


def _share(server: RedisServer) -> None:
    """The session's fixture gets the server that runs already."""

    class Running(RedisServer):
        def __init__(self, folder: Path, binary: str, *extra: str) -> None:
            super().__init__(server.folder, binary, *extra)

        def start(self) -> None:
            self.process = server.process

        def stop(self) -> None:
            pass

    sys.modules["tests.conftest"].RedisServer = Running  # type: ignore[attr-defined]


def _compile(task: Task, client: redis.Redis, pipe: int) -> bool:
    told = Told("compile", True)
    try:
        client.script_load(scripts.script(task.compiled).text)  # type: ignore[arg-type]
    except redis.ResponseError as error:
        told.ok, told.why = False, str(error)
    os.write(pipe, told.line())
    return told.ok


def _run_tests(
    task: Task, items: Sequence[pytest.Item], client: redis.Redis, server: RedisServer, pipe: int
) -> bool:
    log = server.folder / "redis.log"
    with log.open("rb") as lines:
        for at, number in enumerate(task.items):
            client.flushall()
            lines.seek(0, os.SEEK_END)
            os.write(pipe, Told(number).line())
            began = time.perf_counter()
            following = items[task.items[at + 1]] if at + 1 < len(task.items) else None
            reports = runtestprotocol(items[number], log=False, nextitem=following)
            failed = [report for report in reports if report.failed]
            told = Told(number, True, not failed, time.perf_counter() - began)
            if failed:
                told.why = failed[0].longreprtext[-1500:]
            told.reached = sorted({int(found) for found in _REACHED.findall(lines.read())})
            os.write(pipe, told.line())
            if failed and not task.go_on:
                return False
    return True


def _run_model(server: RedisServer, pipe: int) -> None:
    from tests.model import drive

    def tell(_: drive.Report) -> None:
        os.write(pipe, Told("model").line())

    began = time.perf_counter()
    report = drive.run(server.url, _MODEL_SEED, _MODEL_TRANSITIONS, shrink=False, tell=tell)
    why = report.failure or ""
    os.write(pipe, Told("model", True, not why, time.perf_counter() - began, why[-1500:]).line())
