"""Handlers with `process=True`: each runs in a process of its own that can be killed; idle ones are used again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from typing import Any

from ironforge.context import Context
from ironforge.errors import Discard, Retry
from ironforge.job import Job
from ironforge.task import Task

log = logging.getLogger("ironforge.worker")
_LONGEST_LINE = 4 * 1024 * 1024


class ProcessCrashed(Exception):
    """The handler's process ended without an answer."""


class RemoteError(Exception):
    """An error that happened in a handler's process, as text."""


class ProcessPool:
    """As many processes as run at once. See process_main.py for the other end."""

    def __init__(self) -> None:
        self._idle: list[asyncio.subprocess.Process] = []

    async def run(self, task: Task[..., Any], job: Job, context: Context) -> Any:
        """The handler's result. Cancelled: the process is killed."""
        process = self._idle.pop() if self._idle else await self._start()
        try:
            answer = await self._ask(process, task, job, context)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
            raise
        self._idle.append(process)
        return _result(answer)

    async def close(self) -> None:
        for process in self._idle:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._idle.clear()

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ironforge.worker.process_main",
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
        await process.stdin.drain()
        while True:
            line = await process.stdout.readline()
            if not line:
                code = await process.wait()
                raise ProcessCrashed(f"the handler's process ended ({code}) without an answer")
            answer: dict[str, Any] = json.loads(line)
            if "progress" not in answer:
                return answer
            context.progress(answer["progress"])


def _result(answer: dict[str, Any]) -> Any:
    match answer:
        case {"result": result}:
            return result
        case {"retry": delay_s, "message": message}:
            raise Retry(delay_s, message)
        case {"discard": message}:
            raise Discard(message)
        case _:
            # The type keeps its name in the books: a class of that name, not the class itself.
            named = type(str(answer.get("type", "Error")), (RemoteError,), {})
            raise named(f"{answer.get('message', '')}\n{answer.get('traceback', '')}".strip())
