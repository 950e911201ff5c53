"""IronForge: a job scheduler on Redis for Python.

The public names are loaded on first use, so that importing one part never pays for another.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ironforge.context import Context
    from ironforge.errors import (
        Discard,
        IdempotencyConflict,
        InvalidJob,
        InvalidPayload,
        InvalidTransition,
        IronForgeError,
        JobNotFound,
        Retry,
        StoreUnavailable,
        UnknownTask,
    )
    from ironforge.forge import Forge
    from ironforge.job import BackoffPolicy, Job, JobError, JobStatus, NewJob, Priority
    from ironforge.server.app import create_app
    from ironforge.task import Task
    from ironforge.worker.worker import Worker

__version__ = "0.1.0"

_HOME = {
    "Forge": "forge",
    "Task": "task",
    "Context": "context",
    "Worker": "worker.worker",
    "create_app": "server.app",
    **dict.fromkeys(("BackoffPolicy", "Job", "JobError", "JobStatus", "NewJob", "Priority"), "job"),
    **dict.fromkeys(
        (
            "Discard",
            "IdempotencyConflict",
            "InvalidJob",
            "InvalidPayload",
            "InvalidTransition",
            "IronForgeError",
            "JobNotFound",
            "Retry",
            "StoreUnavailable",
            "UnknownTask",
        ),
        "errors",
    ),
}

__all__ = [
    "BackoffPolicy",
    "Context",
    "Discard",
    "Forge",
    "IdempotencyConflict",
    "InvalidJob",
    "InvalidPayload",
    "InvalidTransition",
    "IronForgeError",
    "Job",
    "JobError",
    "JobNotFound",
    "JobStatus",
    "NewJob",
    "Priority",
    "Retry",
    "StoreUnavailable",
    "Task",
    "UnknownTask",
    "Worker",
    "__version__",
    "create_app",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ironforge' has no attribute {name!r}")
    value = getattr(import_module(f"ironforge.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
