"""The other end of processes.py: runs one process handler after the other, a JSON line in, a JSON line out.

Answers go to the real stdout, kept aside: what a handler prints goes to stderr and cannot be taken for an answer.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, BinaryIO

from ironforge import config, logs
from ironforge.context import Context
from ironforge.errors import ConfigError, Discard, Retry
from ironforge.job import Job, JobStatus
from ironforge.outcome import describe, fingerprint
from ironforge.task import Task
from ironforge.worker.results import result_json


def main() -> None:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _configure_logs()
    asked: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, asked), name="requests", daemon=True).start()
    sys.path[:] = asked.get()["path"]
    while True:
        answer = _answer(asked.get(), answers)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _configure_logs() -> None:
    try:
        settings = config.load()
        logs.configure(settings.log, settings.log_format)
    except ConfigError:
        logs.configure()


def _listen(requests: BinaryIO, asked: SimpleQueue[dict[str, Any]]) -> None:
    """In a thread, so that a handler does not outlive the worker whose job it runs: that job runs elsewhere soon."""
    for line in requests:
        asked.put(json.loads(line))
    os.killpg(os.getpid(), signal.SIGKILL)


def _answer(request: dict[str, Any], answers: BinaryIO) -> dict[str, Any]:
    def report(progress_json: str) -> None:
        answers.write(b'{"progress":' + progress_json.encode() + b"}\n")
        answers.flush()

    about = request["job"]
    try:
        stored = result_json(_run(request, report), {"job_id": about["id"], "kind": about["kind"]})
        return {"result_json": None if stored is None else stored.decode()}
    except Retry as retry:
        return {"retry": retry.delay_s, "message": str(retry)}
    except Discard as discard:
        return {"discard": str(discard)}
    except BaseException as error:
        described = describe(error)
        return {"error": described.to_json(), "fingerprint": fingerprint(about["kind"], error, described)}


def _run(request: dict[str, Any], report: Callable[[str], None]) -> Any:
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
    raise LookupError(f"module {module!r} has no task {kind!r} at its top level any more")
