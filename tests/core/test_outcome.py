from __future__ import annotations

from random import Random

import pytest

from ironforge.backoff import delay_s
from ironforge.errors import Discard, Retry
from ironforge.job import Attempt, BackoffPolicy, Job, JobError, JobStatus
from ironforge.outcome import Bury, RetryIn, UnknownKind, after_unknown_kind, decide, describe, fingerprint

EXACT = BackoffPolicy(jitter=0.0)


@pytest.mark.parametrize(
    ("failure", "wait_s"), [(1, 2), (2, 4), (3, 8), (10, 1024), (12, 3600), (1000, 3600)]
)
def test_waits_double_up_to_the_cap(failure: int, wait_s: float) -> None:
    assert delay_s(failure, EXACT, Random(1)) == wait_s


def test_jitter_is_added_never_taken_away_and_at_most_a_tenth() -> None:
    rng = Random(7)
    waits = [delay_s(1, BackoffPolicy(), rng) for _ in range(2000)]
    assert min(waits) >= 2.0 and max(waits) <= 2.2
    assert max(waits) - min(waits) > 0.15


def test_failures_count_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        delay_s(0, EXACT, Random(1))


@pytest.mark.parametrize(
    ("retry_count", "error", "fate"),
    [
        (0, ValueError("no"), RetryIn(2000)),
        (2, ValueError("no"), RetryIn(8000)),
        (3, ValueError("no"), Bury("retries_spent")),
        (0, Retry(0.05), RetryIn(50)),
        (0, Retry(), RetryIn(2000)),
        (3, Retry(0.05), Bury("retries_spent")),
        (0, Discard("bad address"), Bury("discarded")),
    ],
)
def test_decide(retry_count: int, error: Exception, fate: RetryIn | Bury) -> None:
    job = Job("j", "k", "q", JobStatus.RUNNING, retry_count=retry_count, max_retries=3)
    assert decide(job, error, EXACT, Random(1)) == fate


def test_a_jobs_own_back_off_comes_before_its_tasks() -> None:
    job = Job("j", "k", "q", JobStatus.RUNNING, backoff=BackoffPolicy(7, 100, 0))
    assert decide(job, ValueError(), EXACT, Random(1)) == RetryIn(7000)


def _mark(kind: str, raise_: Exception) -> str:
    try:
        raise raise_
    except Exception as error:
        return fingerprint(kind, error, describe(error))


def test_errors_that_differ_in_numbers_ids_and_names_are_one_group() -> None:
    same = [
        ValueError("order 8812 of 'ada' at 0x7f3a timed out after 30 s"),
        ValueError("order 17 of 'bob' at 0x1 timed out after 5 s"),
    ]
    assert len({_mark("charge", error) for error in same}) == 1
    ids = [
        KeyError("019ab1c2-6d1f-7000-8a2b-3c4d5e6f7081"),
        KeyError("019ab1c2-ffff-7000-8a2b-3c4d5e6f7081"),
    ]
    assert len({_mark("charge", error) for error in ids}) == 1


def test_another_kind_type_or_message_is_another_group() -> None:
    marks = {
        _mark("charge", ValueError("timed out")), _mark("refund", ValueError("timed out")),
        _mark("charge", TypeError("timed out")), _mark("charge", ValueError("refused")),
    }  # fmt: skip
    assert len(marks) == 4


def test_a_retry_that_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="1 year"):
        Retry(-1)


def _released(number: int, at_ms: int) -> Attempt:
    error = JobError(UnknownKind.__name__, "no worker of this queue knows the kind")
    return Attempt(number, at_ms, at_ms, "w", "released", error)


def test_an_unknown_kind_waits_for_a_deploy_and_is_dead_after_an_hour() -> None:
    job, waits_s = Job("j", "k", "q", JobStatus.RUNNING, started_ms=10_000), []
    while isinstance(fate := after_unknown_kind(job), RetryIn):
        assert job.started_ms is not None
        waits_s.append(fate.delay_ms // 1000)
        job.attempts = [*job.attempts, _released(len(waits_s), job.started_ms)][-10:]  # as many as are kept
        job.started_ms += fate.delay_ms
    assert fate == Bury("unknown_kind")
    assert waits_s[:6] == [15, 30, 60, 120, 240, 420] and 3600 < sum(waits_s) < 4600


def test_an_unknown_kind_after_other_ends_is_a_new_sight() -> None:
    attempts = [_released(1, 0), Attempt(2, 1000, 2000, "w", "failed", JobError("ValueError", "no"))]
    job = Job("j", "k", "q", JobStatus.RUNNING, started_ms=9_999_999, attempts=attempts)
    assert after_unknown_kind(job) == RetryIn(15_000)
