"""Forge: the registry of tasks and the client of one namespace. Opens nothing until it is used."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypedDict, TypeVar, Unpack, overload

from ironforge import config
from ironforge.context import Context
from ironforge.errors import ConfigError, InvalidJob
from ironforge.job import (
    DEFAULT_MAX_RETRIES,
    DEFAULT_QUEUE,
    MAX_DELAY_S,
    MAX_MAX_RETRIES,
    MAX_PAYLOAD_BYTES,
    MAX_TAGS,
    NAME_PATTERN,
    BackoffPolicy,
    Job,
    NewJob,
    Priority,
)
from ironforge.task import JobHandler, Task, TaskOptions, TaskRegistry

if TYPE_CHECKING:
    from ironforge.embedded import EmbeddedRedis
    from ironforge.queue.backend import RedisQueue
    from ironforge.sync import SyncForge

P = ParamSpec("P")
R = TypeVar("R")


class Client:
    """The part of a Forge that speaks to Redis.

    Args:
        redis_url: overrides REDIS_URL; without either, the embedded server is used.
        namespace: overrides IRONFORGE_NAMESPACE.
        durability: overrides IRONFORGE_DURABILITY: `local`, `always` (Redis syncs each write, else nothing starts) or
            `replicated` (a job is accepted once a replica has it).
        settings: everything at once, instead of reading environment and config file.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        namespace: str | None = None,
        durability: str | None = None,
        settings: config.Settings | None = None,
    ) -> None:
        self._given = {"redis_url": redis_url, "namespace": namespace, "durability": durability}
        self._settings = settings
        self._queue: RedisQueue | None = None
        self._embedded: EmbeddedRedis | None = None
        self._connecting: asyncio.Lock | None = None

    @property
    def settings(self) -> config.Settings:
        """Read on first use, so that importing a module with a Forge touches nothing."""
        if self._settings is None:
            given: dict[str, Any] = self._given
            self._settings = config.load(**given)
        return self._settings

    async def connect(self, *, check: bool = True, allow_unsafe: bool = False) -> RedisQueue:
        """The open queue; starts the embedded server first where there is no Redis URL. May be called again.

        Args:
            check: refuse a Redis that is too old or evicts keys; False also connects to one that is away.
            allow_unsafe: accept one that is too old or evicts keys.

        Raises:
            StoreUnavailable: Redis cannot be reached.
            StartupError: it cannot be trusted, or there is none to start.
        """
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._queue is None:
                self._queue = await self._open(check, allow_unsafe)
            return self._queue

    async def _open(self, check: bool, allow_unsafe: bool) -> RedisQueue:
        from ironforge.queue.backend import (
            RedisQueue,
        )  # redis costs 93 ms that importing a Forge need not pay

        settings = self.settings
        if settings.redis_url is None and settings.durability == "replicated":
            raise ConfigError(
                "durability 'replicated' needs a Redis with a replica, and the embedded server has none: set REDIS_URL"
            )
        url = settings.redis_url or await asyncio.to_thread(self._start_embedded)
        queue = RedisQueue(url, settings.namespace, shards=settings.shards, durability=settings.durability)
        if check:
            try:
                if self._embedded and settings.durability == "always":
                    await queue.sync_each_write()
                await queue.open(allow_unsafe=allow_unsafe)
            except BaseException:
                await queue.close()
                raise
        return queue

    def _start_embedded(self) -> str:
        from ironforge.embedded import EmbeddedRedis

        if self._embedded is None:
            self._embedded = EmbeddedRedis(self.settings.data_dir, server=self.settings.redis_server)
        return self._embedded.start()  # again after a failed check: it holds its share already

    @property
    def queue(self) -> RedisQueue:
        """The open queue. Raises RuntimeError before `connect`."""
        if self._queue is None:
            raise RuntimeError("this Forge is not connected: await forge.connect() first")
        return self._queue

    async def aclose(self) -> None:
        """Closes connections and lets go of the embedded server. May be called again."""
        queue, self._queue = self._queue, None
        embedded, self._embedded = self._embedded, None
        if queue:
            await queue.close()
        if embedded:
            await asyncio.to_thread(embedded.stop)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def enqueue(self, kind: str, payload: Mapping[str, Any] | None = None, **options: Any) -> Job:
        """Accepts one job by kind, for a task that may live elsewhere.

        Args:
            kind: the task's registered name.
            payload: a JSON object.
            options: see `new_job`; and `idempotency_key`, under which the same request gives the same job.

        Raises:
            InvalidJob: something breaks a rule of the contract.
            StoreUnavailable: Redis is away.
        """
        key: str | None = options.pop("idempotency_key", None)
        new = new_job(kind, payload, **options)
        queue = await self.connect()
        if key is None:
            return await queue.enqueue(new)
        job, _ = await queue.submit(new, key, request_hash(new))
        return job

    async def enqueue_many(self, jobs: Iterable[NewJob | tuple[str, Mapping[str, Any]]]) -> list[Job]:
        """Accepts all of them in one round trip, in their order."""
        new_jobs = [job if isinstance(job, NewJob) else new_job(*job) for job in jobs]
        return await (await self.connect()).enqueue_many(new_jobs)

    async def get(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        return await (await self.connect()).get(job_id)


_PLAIN = (DEFAULT_QUEUE, Priority.MEDIUM, DEFAULT_MAX_RETRIES, None, None, None, None, None, ())


def new_job(
    kind: str,
    payload: Mapping[str, Any] | bytes | None = None,
    *,
    queue: str = DEFAULT_QUEUE,
    priority: Priority | str = Priority.MEDIUM,
    max_retries: int = DEFAULT_MAX_RETRIES,
    delay_s: float | None = None,
    run_at: datetime | None = None,
    timeout_s: float | None = None,
    retention_s: float | None = None,
    backoff: BackoffPolicy | None = None,
    tags: Sequence[str] = (),
) -> NewJob:
    """A validated request for a job. Raises InvalidJob with a pointer for each mistake."""
    asked = (queue, priority, max_retries, delay_s, run_at, timeout_s, retention_s, backoff, tags)
    if asked == _PLAIN and NAME_PATTERN.fullmatch(kind):  # as most are: nothing else can be wrong
        return NewJob(kind, payload if isinstance(payload, bytes) else payload_bytes(payload))
    wrong = [
        *_unless(
            NAME_PATTERN.fullmatch(kind), "/kind", f"{kind!r} is not of the form a-z 0-9 . _ - (1 to 64)"
        ),
        *_unless(
            NAME_PATTERN.fullmatch(queue), "/queue", f"{queue!r} is not of the form a-z 0-9 . _ - (1 to 64)"
        ),
        *_unless(0 <= max_retries <= MAX_MAX_RETRIES, "/max_retries", f"must lie in 0..{MAX_MAX_RETRIES}"),
        *_unless(delay_s is None or 0 <= delay_s <= MAX_DELAY_S, "/delay_s", "must lie in 0..1 year"),
        *_unless(delay_s is None or run_at is None, "/run_at", "give either delay_s or run_at"),
        *_unless(timeout_s is None or 0 < timeout_s <= MAX_DELAY_S, "/timeout_s", "must be above 0"),
        *_unless(len(tags) <= MAX_TAGS, "/tags", f"at most {MAX_TAGS}"),
    ]
    if priority not in tuple(Priority):
        wrong += _unless(None, "/priority", f"{str(priority)!r} is none of critical, high, medium, low")
    if wrong:
        raise InvalidJob(f"the job is not valid: {wrong[0]['detail']}", wrong)
    return NewJob(
        kind=kind,
        payload_json=payload if isinstance(payload, bytes) else payload_bytes(payload),
        queue=queue,
        priority=Priority(priority),
        max_retries=max_retries,
        delay_ms=_ms(delay_s),
        run_at_ms=None if run_at is None else round(run_at.timestamp() * 1000),
        timeout_ms=_ms(timeout_s),
        retention_ms=_ms(retention_s),
        backoff=backoff,
        tags=tuple(tags),
    )


def payload_bytes(payload: Mapping[str, Any] | None) -> bytes:
    """The payload as it is stored. Raises InvalidJob for what is not JSON, or too large."""
    if not payload:
        return b"{}"
    try:
        stored = json.dumps(payload, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJob(
            f"the payload is not JSON: {error}", [{"pointer": "/payload", "detail": str(error)}]
        ) from None
    if len(stored) > MAX_PAYLOAD_BYTES:
        detail = f"{len(stored):,} bytes; the limit is {MAX_PAYLOAD_BYTES:,}"
        raise InvalidJob(f"the payload is too large: {detail}", [{"pointer": "/payload", "detail": detail}])
    return stored


def request_hash(new: NewJob) -> str:
    """Of everything that makes a request what it is, its id left out."""
    import hashlib

    parts = (
        new.kind, new.payload_json, new.queue, new.priority.value, new.max_retries, new.delay_ms, new.run_at_ms,
        new.timeout_ms, new.retention_ms, new.backoff, new.tags,
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _unless(holds: object, pointer: str, detail: str) -> list[Any]:
    return [] if holds else [{"pointer": pointer, "detail": detail}]


class Forge(Client):
    """A program's tasks and its way to the queue.

    forge = Forge()

    @forge.task("email.send", max_retries=3, timeout_s=30)
    async def send_email(to: str) -> None: ...
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        namespace: str | None = None,
        durability: str | None = None,
        settings: config.Settings | None = None,
    ) -> None:
        super().__init__(redis_url, namespace=namespace, durability=durability, settings=settings)
        self.tasks = TaskRegistry()

    @overload
    def task(self, kind: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
    @overload
    def task(self, kind: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, kind: str | None = None, /, **options: Unpack[_TaskChoices]) -> Registrar: ...
    def task(self, kind: Any = None, /, **options: Any) -> Any:
        """Registers a function: `async def` runs on the loop, `def` in a thread, `process=True` in a process.

        Args:
            kind: the name jobs carry; without it, the function's name.
            options: the task's defaults, see `TaskOptions`.

        Raises:
            ConfigError: the kind is taken, or is not a name.
            TypeError: the signature cannot be a JSON payload.
        """
        if callable(kind):
            return Registrar(self, None, TaskOptions())(kind)
        chosen: dict[str, Any] = {**options, "priority": Priority(options.get("priority", Priority.MEDIUM))}
        return Registrar(self, kind, TaskOptions(**chosen))

    def handler(self, handler: JobHandler) -> JobHandler:
        """Registers an object with `async def handle(self, job)` that serves every kind without a task of its own."""
        if self.tasks.catch_all is not None:
            raise ConfigError("this Forge has a handler for all kinds already")
        if not inspect.iscoroutinefunction(getattr(handler, "handle", None)):
            raise ConfigError("a handler for all kinds has a method `async def handle(self, job)`")
        self.tasks.catch_all = handler
        return handler

    @property
    def sync(self) -> SyncForge:
        """The same for programs without a loop: `forge.sync.enqueue(…)`."""
        from ironforge.sync import SyncForge

        if self._sync is None:
            self._sync = SyncForge(self)
        return self._sync

    _sync: SyncForge | None = None


class _TaskChoices(TypedDict, total=False):
    queue: str
    priority: Priority | str
    max_retries: int
    timeout_s: float | None
    backoff: BackoffPolicy
    process: bool


class Registrar:
    """The decorator that `Forge.task(…)` gives."""

    def __init__(self, forge: Forge, kind: str | None, options: TaskOptions) -> None:
        self._forge, self._kind, self._options = forge, kind, options

    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> Task[..., Any]:
        task: Task[..., Any] = Task(self._forge, self._kind or function.__name__, function, self._options)
        self._forge.tasks.add(task)
        return task
