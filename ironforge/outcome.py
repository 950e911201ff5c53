"""What follows from how a run ended: pure decisions, carried out elsewhere."""

from __future__ import annotations

import hashlib
import re
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType

from ironforge.backoff import delay_s
from ironforge.errors import Discard, Retry
from ironforge.job import Attempt, BackoffPolicy, Job, JobError

MAX_MESSAGE = 4_000
MAX_TRACEBACK = 16_000
UNKNOWN_BASE_MS, UNKNOWN_CAP_MS = 15_000, 420_000
UNKNOWN_GRACE_MS = 3_600_000
NEWER_BASE_MS, NEWER_CAP_MS = 500, 60_000
_OURS = str(Path(__file__).resolve().parent / "worker")
_LIBRARY = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_VARIABLE_PARTS = (
    (re.compile(r"0x[0-9a-fA-F]+"), "#"),
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "#"),
    (re.compile(r"\b[0-9a-fA-F]{12,}\b"), "#"),
    (re.compile(r"'[^']*'|\"[^\"]*\""), "'…'"),
    (re.compile(r"\S+@\S+\.\w+"), "#"),
    (re.compile(r"\d+"), "#"),
)


@dataclass(frozen=True, slots=True)
class RetryIn:
    """The attempt is charged and the job waits."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class Bury:
    """The job is dead. `reason` is for the books: retries_spent, discarded or unknown_kind."""

    reason: str


class TimeLimitExceeded(Exception):
    """The handler ran longer than its time limit."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"ran longer than its limit of {limit_s:g} s")


class UnknownKind(LookupError):
    """No handler of this worker takes the kind."""


class NewerFormat(Exception):
    """The job is stored in a form that this version cannot read."""

    def __init__(self, form: int) -> None:
        super().__init__(
            f"this worker cannot read jobs stored in form {form}: a newer version wrote it; upgrade this one"
        )


class RemoteError(Exception):
    """An error of a handler in a process of its own, described there."""

    def __init__(self, described: JobError, mark: str) -> None:
        super().__init__(described.message)
        self.described = described
        self.mark = mark


def decide(job: Job, error: BaseException, policy: BackoffPolicy, rng: Random) -> RetryIn | Bury:
    """What becomes of a job whose handler raised."""
    match error:
        case Discard():
            return Bury("discarded")
        case _ if job.retry_count >= job.max_retries:
            return Bury("retries_spent")
        case Retry(delay_s=float() | int() as wait_s):
            return RetryIn(round(wait_s * 1000))
        case _:
            return RetryIn(round(delay_s(job.retry_count + 1, job.backoff or policy, rng) * 1000))


def after_unknown_kind(job: Job) -> RetryIn | Bury:
    """What becomes of a job that this worker has no handler for: during a rolling deploy another one may.

    Uncharged waits of 15 s, doubling up to 7 min; dead once it was seen like that for an hour. They grow so that the
    ten attempts that are kept reach back that far.
    """
    seen: list[Attempt] = []
    for attempt in reversed(job.attempts):
        if attempt.outcome != "released" or not attempt.error or attempt.error.type != UnknownKind.__name__:
            break
        seen.append(attempt)
    if seen and (job.started_ms or 0) - seen[-1].started_ms > UNKNOWN_GRACE_MS:
        return Bury("unknown_kind")
    return RetryIn(min(UNKNOWN_CAP_MS, UNKNOWN_BASE_MS * 2 ** len(seen)))


def after_newer_format(job: Job) -> RetryIn:
    """When a job that this version cannot read is offered again: a worker of the version that wrote it will take it.

    Uncharged waits of 0.5 s, doubling up to 60 s with each delivery. It is never dead for that.
    """
    deliveries = job.fence.partition(":")[0]
    seen = int(deliveries) if deliveries.isdigit() else 1
    return RetryIn(min(NEWER_CAP_MS, NEWER_BASE_MS * 2 ** min(20, max(0, seen - 1))))


def describe(error: BaseException) -> JobError:
    """An error as text, of bounded size, whatever its `__str__` does. Frames of the worker itself are left out."""
    if isinstance(error, RemoteError):
        return error.described
    try:
        message = str(error)
    except BaseException as broken:
        message = f"<its __str__ raised {type(broken).__name__}>"
    try:
        lines = traceback.format_exception(type(error), error, _users_part(error.__traceback__))
        text = "".join(lines)
    except BaseException:
        text = ""
    if len(text) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2
        text = f"{text[:half]}\n  … {len(text) - MAX_TRACEBACK:,} characters left out …\n{text[-half:]}"
    return JobError(_clean(type(error).__name__), _clean(_cut(message, MAX_MESSAGE)), _clean(text))


def fingerprint(kind: str, error: BaseException, described: JobError) -> str:
    """Twelve hex digits, equal for errors that a person would call the same.

    Made of the error's type, the kind, the innermost frame of the user's own code (file and function, no line number)
    and the message with numbers, ids, quoted text and addresses blanked.
    """
    if isinstance(error, RemoteError):
        return error.mark
    message = described.message[:400]
    for pattern, blank in _VARIABLE_PARTS:
        message = pattern.sub(blank, message)
    parts = (described.type, kind, _innermost(error.__traceback__), message)
    return hashlib.sha1("|".join(parts).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:12]


def _users_part(tb: TracebackType | None) -> TracebackType | None:
    at = tb
    while at is not None and at.tb_frame.f_code.co_filename.startswith(_OURS):
        at = at.tb_next
    return at


def _innermost(tb: TracebackType | None) -> str:
    """`file:function` of the last frame that is neither a library's nor ours."""
    found = ""
    while tb is not None:
        code = tb.tb_frame.f_code
        if not code.co_filename.startswith((_OURS, *_LIBRARY)):
            found = f"{Path(code.co_filename).name}:{code.co_qualname if hasattr(code, 'co_qualname') else code.co_name}"
        tb = tb.tb_next
    return found


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} characters left out)"


def _clean(text: str) -> str:
    """Without lone surrogates, which no JSON reader has to take."""
    return text.encode("utf-8", "replace").decode()
