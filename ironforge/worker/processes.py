"""Handlers with `process=True`: each runs in a process of its own that can be killed; idle ones are used again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any

from ironforge.context import Context
from ironforge.errors import ConfigError, Discard, Retry
from ironforge.job import Job, JobError
from ironforge.outcome import RemoteError
from ironforge.task import Task

_LONGEST_LINE = 4 * 1024 * 1024


class ProcessCrashed(Exception):
    """The handler's process ended without an answer."""


class StoredResult(bytes):
    """A result that its process encoded already."""


def check_importable(tasks: Iterable[Task[..., Any]]) -> None:
    """Raises ConfigError for a process handler that another process could not find."""
    for task in tasks:
        name = task.function.__module__
        module = sys.modules.get(name)
        if task.defaults.process and (
            name == "__main__" or not any(value is task for value in vars(module).values())
        ):
            raise ConfigError(
                f"task {task.kind!r} has process=True and must be at the top level of a module that can be imported, "
                f"which {name}.{task.function.__qualname__} is not"
            )


class ProcessPool:
    """As many processes as run at once. See process_main.py for the other end."""

    def __init__(self) -> None:
        self._idle: list[asyncio.subprocess.Process] = []

    async def run(self, task: Task[..., Any], job: Job, context: Context) -> StoredResult | None:
        """The handler's result. Cancelled: its process is killed, with everything that it started."""
        process = self._take() or await self._start()
        try:
            answer = await self._ask(process, task, job, context)
        except BaseException:
            _kill(process)
            await asyncio.shield(process.wait())
            raise
        self._idle.append(process)
        return _result(answer)

    async def close(self) -> None:
        for process in self._idle:
            _kill(process)
            await process.wait()
        self._idle.clear()

    def _take(self) -> asyncio.subprocess.Process | None:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:  # one that died while idle is nobody's fault
                return process
        return None

    async def _start(self) -> asyncio.subprocess.Process:
        # A session of its own: whatever a handler starts can be killed with it.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ironforge.worker.start", "handlers", start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST_LINE,
        )  # fmt: skip
        assert process.stdin
        process.stdin.write(json.dumps({"path": sys.path}).encode() + b"\n")
        return process

    async def _ask(
        self, process: asyncio.subprocess.Process, task: Task[..., Any], job: Job, context: Context
    ) -> dict[str, Any]:
        assert process.stdin and process.stdout
        request = {
            "module": task.function.__module__,
            "kind": task.kind,
            "job": {
                "id": job.id,
                "kind": job.kind,
                "queue": job.queue,
                "payload": job.payload_json.decode(),
                "retry_count": job.retry_count,
                "max_retries": job.max_retries,
            },
        }
        process.stdin.write(json.dumps(request).encode() + b"\n")
        with contextlib.suppress(ConnectionError):  # then there is no answer either
            await process.stdin.drain()
        while line := await process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            if "progress" not in answer:
                return answer
            context.progress(answer["progress"])
        raise ProcessCrashed(f"the handler's process ended ({await process.wait()}) without an answer")


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _result(answer: dict[str, Any]) -> StoredResult | None:
    match answer:
        case {"result_json": stored}:
            return None if stored is None else StoredResult(stored.encode())
        case {"retry": delay_s, "message": message}:
            raise Retry(delay_s, message)
        case {"discard": message}:
            raise Discard(message)
        case _:
            raise RemoteError(JobError.from_json(answer["error"]), answer["fingerprint"])
