"""POST /jobs by its short way says the same as by the long one."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.job import Job, JobStatus, Priority
from ironforge.job_json import job_json, new_job_json
from ironforge.server.intake import Intake

_names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


@given(
    job=st.builds(
        Job,
        id=st.just("019ab1c2-6d1f-7000-8a2b-3c4d5e6f7081"),
        kind=_names,
        queue=_names,
        status=st.sampled_from([JobStatus.QUEUED, JobStatus.SCHEDULED]),
        payload_json=st.sampled_from([b"{}", b'{"a": 1.50}', '{"n": "ü \\u0000"}'.encode()]),
        priority=st.sampled_from(Priority),
        max_retries=st.integers(0, 100),
        created_ms=st.integers(0, 253_402_300_799_999),
        run_at_ms=st.none() | st.integers(0, 253_402_300_799_999),
        timeout_s=st.none() | st.integers(1, 10**9).map(lambda ms: ms / 1000),
        retention_s=st.none(),
        tags=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), max_size=3),
    )
)
def test_a_new_job_reads_as_any_other(job: Job) -> None:
    assert new_job_json(job) == job_json(job, trusted=True)


BODIES: list[Any] = [
    {
        "kind": "email.send",
        "payload": {"to": "ada@example.com", "n": 12345678901234567890},
        "tags": ["a", "ü"],
    },
    {"kind": "later", "delay_s": 60, "timeout_s": 1.5, "max_retries": 0, "priority": "low", "queue": "other"},
    {"kind": "UPPER"},
    {"kind": "x", "unknown": 1},
    [],
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("key", [None, "once"])
async def test_both_ways_answer_alike(
    client: httpx.AsyncClient, body: Any, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    short = await client.post("/jobs", json=body, headers=headers)

    async def past(self: Intake, *arguments: Any) -> None:
        await self._app(*arguments)

    monkeypatch.setattr(Intake, "__call__", past)
    long = await client.post("/jobs", json=body, headers={"Idempotency-Key": "other"} if key else {})
    assert short.status_code == long.status_code
    assert sorted(short.headers) == sorted(long.headers)
    assert short.headers["content-type"] == long.headers["content-type"]
    assert _alike(short.json()) == _alike(long.json())


async def test_the_same_request_again_gives_the_same_job(client: httpx.AsyncClient) -> None:
    first = await client.post("/jobs", json={"kind": "x"}, headers={"Idempotency-Key": "k"})
    again = await client.post("/jobs", json={"kind": "x"}, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() and first.headers["location"] == again.headers["location"]
    other = await client.post("/jobs", json={"kind": "y"}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 409
    for odd in ("", "a b", "x" * 201):
        refused = await client.post("/jobs", json={"kind": "x"}, headers={"Idempotency-Key": odd})
        assert refused.status_code == 422


@pytest.mark.parametrize("second", ["b", "no key"])
async def test_of_two_keys_the_first_counts_by_either_way(client: httpx.AsyncClient, second: str) -> None:
    """The second of these is none, so that the longer way is gone."""
    both = [("idempotency-key", "a"), ("idempotency-key", second)]
    first = await client.post("/jobs", json={"kind": "x"}, headers=both)
    again = await client.post("/jobs", json={"kind": "x"}, headers={"Idempotency-Key": "a"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def _alike(document: Any) -> str:
    for name in ("id", "created_at", "run_at"):
        document.pop(name, None)
    return json.dumps(document, sort_keys=True)
