"""The other end of processes.py: runs one process handler after the other, a JSON line in, a JSON line out.

Answers go to the real stdout, kept aside: what a handler prints goes to stderr and cannot be taken for an answer.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from typing import Any, BinaryIO

from ironforge.context import Context
from ironforge.errors import Discard, Retry
from ironforge.job import Job, JobStatus
from ironforge.outcome import describe
from ironforge.task import Task


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "path" in request:
            sys.path[:] = request["path"]
            continue
        answer = _answer(request, answers)
        answers.write(json.dumps(answer, default=repr).encode() + b"\n")
        answers.flush()


def _answer(request: dict[str, Any], answers: BinaryIO) -> dict[str, Any]:
    def report(progress_json: str) -> None:
        answers.write(b'{"progress":' + progress_json.encode() + b"}\n")
        answers.flush()

    try:
        return {"result": _run(request, report)}
    except Retry as retry:
        return {"retry": retry.delay_s, "message": str(retry)}
    except Discard as discard:
        return {"discard": str(discard)}
    except Exception as error:
        described = describe(error)
        return {"type": described.type, "message": described.message, "traceback": described.traceback}


def _run(request: dict[str, Any], report: Any) -> Any:
    task = _find(request["module"], request["kind"])
    about = request["job"]
    job = Job(
        about["id"], about["kind"], about["queue"], JobStatus.RUNNING, about["payload"].encode(),
        retry_count=about["retry_count"], max_retries=about["max_retries"],
    )  # fmt: skip
    positional = (Context(job, report=report),) if task.signature.takes_context else ()
    arguments = task.signature.arguments(job.payload)
    if task.is_async:
        return asyncio.run(task.function(*positional, **arguments))
    return task.function(*positional, **arguments)


def _find(module: str, kind: str) -> Task[..., Any]:
    for value in vars(importlib.import_module(module)).values():
        if isinstance(value, Task) and value.kind == kind:
            return value  # pyright: ignore[reportUnknownVariableType]
    raise LookupError(
        f"module {module!r} has no task {kind!r} at its top level; a process handler needs that"
    )


if __name__ == "__main__":
    main()
