"""Tasks: registered handlers, and the registry that finds them by kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    runtime_checkable,
)

from ironforge.context import Context
from ironforge.errors import ConfigError
from ironforge.job import (
    DEFAULT_MAX_RETRIES,
    DEFAULT_QUEUE,
    NAME_PATTERN,
    BackoffPolicy,
    Job,
    JobStatus,
    Priority,
)
from ironforge.payload import Signature

if TYPE_CHECKING:
    from ironforge.forge import Forge

P = ParamSpec("P")
R = TypeVar("R")


class JobOptions(TypedDict, total=False):
    """What can be chosen per job. Durations in seconds."""

    queue: str
    priority: Priority | str
    max_retries: int
    delay_s: float
    run_at: datetime
    timeout_s: float
    retention_s: float
    backoff: BackoffPolicy
    tags: tuple[str, ...]
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """A task's defaults. `process` runs it in a process of its own, which can be killed."""

    queue: str = DEFAULT_QUEUE
    priority: Priority = Priority.MEDIUM
    max_retries: int = DEFAULT_MAX_RETRIES
    timeout_s: float | None = None
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)
    process: bool = False


@runtime_checkable
class JobHandler(Protocol):
    """One object that serves every kind: the seed's style of handler."""

    async def handle(self, job: Job, /) -> Any: ...


class Task(Generic[P, R]):
    """A function under a kind. Calling it runs it here; `enqueue` puts a call of it on the queue."""

    def __init__(self, forge: Forge, kind: str, function: Callable[..., Any], options: TaskOptions) -> None:
        if not NAME_PATTERN.fullmatch(kind):
            raise ConfigError(
                f"{kind!r} cannot be a kind: use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit"
            )
        self.kind = kind
        self.function = function
        self.defaults = options
        self.signature = Signature(kind, function)
        self._forge = forge
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = function.__module__

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the function here, without a queue; a Context it asks for belongs to no stored job."""
        if self.signature.takes_context and not (args and isinstance(args[0], Context)):
            job = Job(
                "00000000-0000-7000-8000-000000000000", self.kind, self.defaults.queue, JobStatus.RUNNING
            )
            return self.function(Context(job), *args, **kwargs)
        return self.function(*args, **kwargs)

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job:
        """Puts a call on the queue. Raises InvalidPayload when the arguments do not fit the signature."""
        return await self._enqueue({}, args, kwargs)

    def options(self, **options: Unpack[JobOptions]) -> TaskWithOptions[P]:
        """The same task with other options for the next `enqueue`."""
        return TaskWithOptions(self, options)

    async def _enqueue(self, options: JobOptions, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job:
        defaults: JobOptions = {
            "queue": self.defaults.queue,
            "priority": self.defaults.priority,
            "max_retries": self.defaults.max_retries,
        }
        return await self._forge.enqueue(
            self.kind, self.signature.bind(args, kwargs), **{**defaults, **options}
        )

    def about(self) -> dict[str, Any]:
        """What workers tell of this task."""
        return {
            "schema": self.signature.schema(),
            "timeout_s": self.defaults.timeout_s,
            "max_retries": self.defaults.max_retries,
            "process": self.defaults.process,
        }


class TaskWithOptions(Generic[P]):
    def __init__(self, task: Task[P, Any], options: JobOptions) -> None:
        self._task = task
        self._options = options

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job:
        return await self._task._enqueue(self._options, args, kwargs)  # pyright: ignore[reportPrivateUsage]


class TaskRegistry:
    """Tasks by kind; a handler for all other kinds where one was given."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        self.catch_all: JobHandler | None = None

    def add(self, task: Task[..., Any]) -> None:
        if task.kind in self._tasks:
            raise ConfigError(f"two tasks are called {task.kind!r}; a kind names one")
        self._tasks[task.kind] = task

    def get(self, kind: str) -> Task[..., Any] | None:
        return self._tasks.get(kind)

    def __iter__(self) -> Iterator[Task[..., Any]]:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)

    def about(self) -> dict[str, dict[str, Any]]:
        return {task.kind: task.about() for task in self}
