from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from ironforge.job import (
    ID_PATTERN,
    LIVE,
    NAME_PATTERN,
    TERMINAL,
    TRANSITIONS,
    BackoffPolicy,
    Job,
    JobError,
    JobStatus,
    NewJob,
    Priority,
    instant,
    new_job_id,
    shard_of,
)


@pytest.mark.parametrize("shard", [0, 1, 255, 4095])
def test_an_id_is_a_uuid_7_that_carries_its_shard(shard: int) -> None:
    job_id = new_job_id(shard)
    assert ID_PATTERN.fullmatch(job_id)
    assert shard_of(job_id) == shard
    made_ms = int(job_id.replace("-", "")[:12], 16)
    assert abs(made_ms - time.time() * 1000) < 5_000


def test_ids_differ_and_sort_as_they_were_made() -> None:
    ids = [new_job_id() for _ in range(5_000)]
    assert len(set(ids)) == 5_000 and ids == sorted(ids)


def test_a_clock_set_back_is_no_reason_to_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    before = new_job_id()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    assert new_job_id() > before


def test_an_id_once_given_stays() -> None:
    new = NewJob("greet").with_id()
    assert new.with_id(7).id == new.id and shard_of(new.id) == 0


@pytest.mark.parametrize("name", ["a", "email.send", "9-lives", "x" * 64, "a_b.c-d"])
def test_names(name: str) -> None:
    assert NAME_PATTERN.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["", "A", ".a", "-a", "_a", "a b", "a:b", "a\n", "x" * 65, "é", "a/b", "a{b}"]
)
def test_what_is_no_name(name: str) -> None:
    assert not NAME_PATTERN.fullmatch(name)


def test_every_status_is_live_or_ended_and_only_a_person_brings_one_back() -> None:
    assert set(JobStatus) == LIVE | TERMINAL and not LIVE & TERMINAL
    for status in TERMINAL:
        assert TRANSITIONS[status] <= {JobStatus.QUEUED}
    into_running = {status for status, after in TRANSITIONS.items() if JobStatus.RUNNING in after}
    assert into_running == {JobStatus.QUEUED}


def test_priorities_and_their_ranks_go_both_ways() -> None:
    assert [Priority.from_rank(priority.rank) for priority in Priority] == list(Priority)
    assert str(Priority.CRITICAL) == "critical"


def test_instants_are_aware() -> None:
    job = Job("j", "k", "q", JobStatus.RUNNING, created_ms=1_700_000_000_123)
    assert job.created_at == datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)
    assert (job.run_at, job.started_at, job.finished_at) == (None, None, None)
    assert instant(0).tzinfo is UTC


def test_json_is_read_where_it_is_asked_for() -> None:
    job = Job("j", "k", "q", JobStatus.COMPLETED, b'{"a": 1}', result_json=b"[1]", progress_json=b"0.5")
    assert (job.payload, job.result, job.progress) == ({"a": 1}, [1], 0.5)
    assert job.payload is job.payload, "decoded once"
    assert Job("j", "k", "q", JobStatus.QUEUED).result is None


@pytest.mark.parametrize(
    "error", [JobError("ValueError", "no", "Traceback …"), JobError("E", 'quote " \n \\ é \x00', "")]
)
def test_an_error_survives_its_way_through_json(error: JobError) -> None:
    assert JobError.from_json(error.to_json()) == error


def test_a_back_off_survives_too_and_a_damaged_one_is_the_default() -> None:
    policy = BackoffPolicy(1.5, 60, 0.25)
    assert BackoffPolicy.from_json(policy.to_json()) == policy
    for damaged in ("", "[]", "{}", '{"base_s":"x","cap_s":1,"jitter":0}', "null"):
        assert BackoffPolicy.from_json(damaged) == BackoffPolicy()
