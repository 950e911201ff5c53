"""What each call on jobs answers."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from ironforge import schemas
from ironforge.job import MAX_PAYLOAD_BYTES, JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, dead_job, move_clock

# Never stored. Fixed, so that every process that runs a share of the tests names them alike.
SOME_ID = "019ab1c2-6d1f-7000-8a2b-3c4d5e6f7081"

# fmt: off
FIELDS = [
    "id", "kind", "queue", "payload", "priority", "status", "retry_count", "max_retries", "created_at",
    "run_at", "started_at", "finished_at", "timeout_s", "worker", "last_error", "attempts", "result", "progress",
    "crashes", "lapses", "generation", "retry_of", "unique_key", "tags",
]
# fmt: on


async def _submit(client: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
    answer = await client.post("/jobs", json={"kind": "greet", **members})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
    found = answer.json()
    schemas.Problem.model_validate(found)
    assert (found["type"], found["status"]) == (code, status)
    return found


async def test_submit_answers_the_job_and_where_it_is(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/jobs",
        json={
            "kind": "email.send",
            "payload": {"to": "user@example.com"},
            "priority": "high",
            "max_retries": 3,
        },
    )
    assert answer.status_code == 201 and answer.headers["content-type"] == "application/json"
    job = answer.json()
    assert list(job)[: len(FIELDS)] == FIELDS
    assert (job["kind"], job["status"], job["priority"]) == ("email.send", "queued", "high")
    schemas.Job.model_validate(job)
    again = await client.get(answer.headers["location"])
    assert (again.status_code, again.json()) == (200, job)
    assert job["created_at"].endswith("Z") and len(job["created_at"]) == len("2026-11-24T06:00:00.123Z")


PAYLOADS = [
    "{}",
    '{ "spaced" :\t[ 1,\n 2 ] }',
    '{"n":123456789012345678901234567890,"f":1.000,"e":1E5,"z":-0}',
    '{"long":' + "8" * 6000 + "}",
    '{"s":"\\u0000\\ud83d\\ude00\\/\\n","é":"\u2028☃"}',
    '{"deep":' + "[" * 63 + "]" * 63 + "}",
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda text: text[:24])
async def test_a_payload_comes_back_as_it_came(client: httpx.AsyncClient, lane: Lane, payload: str) -> None:
    body = f'{{"kind":"greet","payload":{payload}}}'
    answer = await client.post("/jobs", content=body.encode(), headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    wanted = f'"payload":{payload},'.encode()
    assert wanted in answer.content
    job_id = answer.headers["location"].rpartition("/")[2]
    assert wanted in (await client.get(f"/jobs/{job_id}")).content
    assert wanted in (await client.get("/jobs")).content
    (claimed,) = await lane.claim()
    assert claimed.payload_json == payload.encode()


async def test_a_job_that_says_nothing_has_the_contracts_defaults(client: httpx.AsyncClient) -> None:
    job = await _submit(client)
    assert (job["queue"], job["priority"], job["max_retries"], job["timeout_s"]) == (
        "default",
        "medium",
        3,
        300,
    )


async def test_every_option_reaches_the_job(client: httpx.AsyncClient, queue: RedisQueue) -> None:
    options = {
        "queue": "mail", "priority": "low", "max_retries": 0, "delay_s": 60, "timeout_s": 2.5, "retention_s": 0,
        "backoff": {"base_s": 1, "cap_s": 10, "jitter": 0}, "tags": ["a", "b c"],
    }  # fmt: skip
    job = await queue.get((await _submit(client, **options))["id"])
    assert (job.queue, job.priority, job.max_retries, job.status) == ("mail", "low", 0, JobStatus.SCHEDULED)
    assert (job.timeout_s, job.retention_s, job.tags) == (2.5, 0.0, ["a", "b c"])
    assert job.backoff and (job.backoff.base_s, job.backoff.cap_s, job.backoff.jitter) == (1, 10, 0)
    assert job.run_at_ms == job.created_ms + 60_000
    for over in ("2020-01-01T00:00:00+02:00", "0001-01-01T00:00:00+23:59"):
        late = await _submit(client, run_at=over)
        assert late["status"] == "queued", "an instant that is over means now"
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    assert (await _submit(client, run_at=soon))["run_at"] == soon.replace("Z", ".000Z")


async def test_one_payload_of_a_batch_that_is_too_large_is_refused_alone(
    client: httpx.AsyncClient, queue: RedisQueue
) -> None:
    """A batch may hold more than one payload may; the body of a single job is bounded before."""
    frame = len(b'{"x":""}')
    payloads = [f'{{"x":"{"y" * (size - frame)}"}}' for size in (MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1)]
    jobs = ",".join(f'{{"kind":"a","payload":{payload}}}' for payload in payloads)
    answer = await client.post(
        "/jobs/batch", content=f'{{"jobs":[{jobs}]}}'.encode(), headers={"content-type": "application/json"}
    )
    found = answer.json()
    assert found["ids"][0] and found["ids"][1] is None
    assert [error["pointer"] for error in found["errors"]] == ["/payload"]
    assert (await queue.read_queue("default")).queued == 1


INVALID: list[tuple[dict[str, Any], str]] = [
    ({}, "/kind"),
    ({"kind": "Email"}, "/kind"),
    ({"kind": ""}, "/kind"),
    ({"kind": "a\n"}, "/kind"),
    ({"kind": "a" * 65}, "/kind"),
    ({"kind": "../x"}, "/kind"),
    ({"kind": 7}, "/kind"),
    ({"kind": "a", "queue": "UP"}, "/queue"),
    ({"kind": "a", "queue": None}, "/queue"),
    ({"kind": "a", "payload": []}, "/payload"),
    ({"kind": "a", "payload": None}, "/payload"),
    ({"kind": "a", "payload": "{}"}, "/payload"),
    ({"kind": "a", "priority": "urgent"}, "/priority"),
    ({"kind": "a", "priority": 1}, "/priority"),
    ({"kind": "a", "max_retries": 101}, "/max_retries"),
    ({"kind": "a", "max_retries": -1}, "/max_retries"),
    ({"kind": "a", "max_retries": 2.5}, "/max_retries"),
    ({"kind": "a", "max_retries": "3"}, "/max_retries"),
    ({"kind": "a", "max_retries": True}, "/max_retries"),
    ({"kind": "a", "max_retries": 10**30}, "/max_retries"),
    ({"kind": "a", "delay_s": -1}, "/delay_s"),
    ({"kind": "a", "delay_s": 367 * 86_400}, "/delay_s"),
    ({"kind": "a", "delay_s": 10**400}, "/delay_s"),
    ({"kind": "a", "delay_s": "1"}, "/delay_s"),
    ({"kind": "a", "delay_s": 1, "run_at": "2020-01-01T00:00:00Z"}, "/run_at"),
    ({"kind": "a", "run_at": "tomorrow"}, "/run_at"),
    ({"kind": "a", "run_at": "2026-11-24T06:00:00"}, "/run_at"),
    ({"kind": "a", "run_at": "9999-12-31T23:59:59Z"}, "/run_at"),
    ({"kind": "a", "run_at": "9999-12-31T23:59:59.999999-23:59"}, "/run_at"),
    ({"kind": "a", "run_at": 1700000000}, "/run_at"),
    ({"kind": "a", "timeout_s": 0}, "/timeout_s"),
    ({"kind": "a", "timeout_s": True}, "/timeout_s"),
    ({"kind": "a", "tags": "x"}, "/tags"),
    ({"kind": "a", "tags": ["x"] * 21}, "/tags"),
    ({"kind": "a", "tags": ["ok", ""]}, "/tags/1"),
    ({"kind": "a", "tags": ["\x00"]}, "/tags/0"),
    ({"kind": "a", "backoff": {"base_s": 0}}, "/backoff/base_s"),
    ({"kind": "a", "backoff": {"factor": 3}}, "/backoff/factor"),
    ({"kind": "a", "retention_s": -1}, "/retention_s"),
    ({"kind": "a", "nope": 1}, "/nope"),
    ({"kind": "a", "id": SOME_ID}, "/id"),
    ({"kind": "a", "unique_key": "x"}, "/unique_key"),
    ({"kind": "a", "idempotency_key": "x"}, "/idempotency_key"),
]


@pytest.mark.parametrize(("body", "pointer"), INVALID, ids=lambda value: str(value)[:40])
async def test_an_invalid_job_changes_nothing(
    client: httpx.AsyncClient, queue: RedisQueue, body: dict[str, Any], pointer: str
) -> None:
    found = _problem(await client.post("/jobs", json=body), 422, "invalid")
    assert [error["pointer"] for error in found["errors"]] == [pointer]
    assert not await queue.client.exists(queue.keys.queues)
    batch = (await client.post("/jobs/batch", json={"jobs": [body]})).json()
    if pointer != "/idempotency_key":
        assert batch["ids"] == [None] and batch["errors"][0]["pointer"] == pointer


async def test_the_same_key_gives_the_same_job(client: httpx.AsyncClient, queue: RedisQueue) -> None:
    headers = {"Idempotency-Key": "order-1"}
    body = {"kind": "greet", "payload": {"n": 1}}
    answers = await asyncio.gather(*(client.post("/jobs", json=body, headers=headers) for _ in range(20)))
    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert [answer.status_code for answer in answers].count(201) == 1
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = await client.post("/jobs", json={"kind": "greet", "payload": {"n": 2}}, headers=headers)
    _problem(other, 409, "idempotency_conflict")
    job_id = answers[0].json()["id"]
    assert (await client.delete(f"/jobs/{job_id}")).status_code == 204
    gone = _problem(await client.post("/jobs", json=body, headers=headers), 410, "job_removed")
    assert gone["job_id"] == job_id
    assert (await queue.read_queue("default")).queued == 0
    _problem(await client.post("/jobs", json=body, headers={"Idempotency-Key": "k" * 201}), 422, "invalid")


@pytest.mark.parametrize(
    "job_id", [SOME_ID, "550e8400-e29b-41d4-a716-446655440000", "nope", "%00", "a" * 500]
)
async def test_an_unknown_id_is_404_everywhere(client: httpx.AsyncClient, job_id: str) -> None:
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/retry"),
        ("POST", "/run"),
        ("POST", "/cancel"),
    ):
        _problem(await client.request(method, f"/jobs/{job_id}{path}"), 404, "job_not_found")


async def test_an_id_in_capitals_is_the_same_id(client: httpx.AsyncClient) -> None:
    job = await _submit(client)
    assert (await client.get(f"/jobs/{job['id'].upper()}")).json()["id"] == job["id"]


async def test_delete(client: httpx.AsyncClient, lane: Lane) -> None:
    job = await _submit(client)
    await lane.claim()
    _problem(await client.delete(f"/jobs/{job['id']}"), 409, "job_running")
    assert (await client.get(f"/jobs/{job['id']}")).json()["status"] == "running"
    other = await _submit(client)
    answer = await client.delete(f"/jobs/{other['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    _problem(await client.delete(f"/jobs/{other['id']}"), 404, "job_not_found")


async def test_retry_from_the_dead_and_not_twice(
    client: httpx.AsyncClient, queue: RedisQueue, lane: Lane
) -> None:
    dead = await dead_job(queue, lane, "f1")
    shown = (await client.get(f"/jobs/{dead.id}")).json()
    assert (shown["status"], shown["last_error"]["type"]) == ("dead", "ValueError")
    assert (
        shown["attempts"][0]["outcome"] == "failed" and shown["attempts"][0]["error"] == shown["last_error"]
    )
    answer = await client.post(f"/jobs/{dead.id}/retry", json={"reset_retry_count": True})
    assert (answer.status_code, answer.json()["status"], answer.json()["generation"]) == (200, "queued", 1)
    found = _problem(await client.post(f"/jobs/{dead.id}/retry"), 409, "invalid_transition")
    assert found["job_id"] == dead.id and "queued" in found["detail"]


async def test_retry_with_another_payload_makes_a_new_job(
    client: httpx.AsyncClient, queue: RedisQueue, lane: Lane
) -> None:
    dead = await dead_job(queue, lane, "f1")
    body = b'{"payload": { "n": 10000000000000000000001 }}'
    headers = {"content-type": "application/json", "Idempotency-Key": "again"}
    answers = [await client.post(f"/jobs/{dead.id}/retry", content=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert b'"payload":{ "n": 10000000000000000000001 },' in answers[0].content
    new = answers[0].json()
    assert (new["retry_of"], new["status"], answers[1].json()["id"]) == (dead.id, "queued", new["id"])
    assert answers[0].headers["location"] == f"/jobs/{new['id']}"
    assert (await queue.get(dead.id)).status is JobStatus.DEAD
    same = await client.post(
        f"/jobs/{dead.id}/retry", content=b'{"payload":{ }}', headers={"content-type": "application/json"}
    )
    assert (same.status_code, same.json()["id"]) == (200, dead.id), "the same payload is no change"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"reset_retry_count":1}', "/reset_retry_count"),
        (b'{"payload":[]}', "/payload"),
        (b'{"x":1}', "/x"),
        (b"[]", ""),
    ],
)
async def test_a_wrong_retry_changes_nothing(
    client: httpx.AsyncClient, queue: RedisQueue, lane: Lane, body: bytes, pointer: str
) -> None:
    dead = await dead_job(queue, lane, "f1")
    headers = {"content-type": "application/json"}
    answer = await client.post(f"/jobs/{dead.id}/retry", content=body, headers=headers)
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == pointer
    assert (await queue.get(dead.id)).status is JobStatus.DEAD


async def test_an_operators_key_has_its_effect_once(
    client: httpx.AsyncClient, queue: RedisQueue, lane: Lane
) -> None:
    dead = await dead_job(queue, lane, "f1")
    headers = {"Idempotency-Key": "k1"}
    for _ in range(2):
        answer = await client.post(f"/jobs/{dead.id}/retry", headers=headers)
        assert (answer.status_code, answer.json()["generation"]) == (200, 1)
    other = await client.post(f"/jobs/{dead.id}/retry", json={"reset_retry_count": False}, headers=headers)
    _problem(other, 409, "idempotency_conflict")
    _problem(await client.delete(f"/jobs/{dead.id}", headers=headers), 409, "idempotency_conflict")


async def test_run_and_cancel(client: httpx.AsyncClient, queue: RedisQueue, lane: Lane) -> None:
    job = await _submit(client, delay_s=600)
    answer = await client.post(f"/jobs/{job['id']}/run", json={})
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    _problem(await client.post(f"/jobs/{job['id']}/run"), 409, "invalid_transition")
    answer = await client.post(f"/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    _problem(await client.post(f"/jobs/{job['id']}/cancel"), 409, "invalid_transition")
    running = await _submit(client)
    await lane.claim()
    answer = await client.post(f"/jobs/{running['id']}/cancel")
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["cancel_requested"]) == ("running", True)
    assert (await client.post(f"/jobs/{job['id']}/cancel", json={"why": 1})).status_code == 422


async def test_lists_by_filter_and_cursor(client: httpx.AsyncClient, queue: RedisQueue, lane: Lane) -> None:
    await dead_job(queue, lane, "f1")
    for at in range(7):
        await queue.enqueue(
            NewJob("even" if at % 2 == 0 else "odd", f'{{"n":{at}}}'.encode(), tags=(f"t{at}",))
        )
    seen: list[int] = []
    cursor: str | None = None
    while True:
        params: dict[str, Any] = {"status": "queued", "limit": 3, **({"cursor": cursor} if cursor else {})}
        page = schemas.JobPage.model_validate_json((await client.get("/jobs", params=params)).content)
        seen += [job.payload["n"] for job in page.jobs]
        assert page.total is not None and len(page.jobs) <= 3
        if (cursor := page.next_cursor) is None:
            break
    dead = (await client.get("/jobs", params={"status": "dead", "error": "f1"})).json()
    assert len(dead["jobs"]) == 1 and dead["jobs"][0]["status"] == "dead"
    assert seen == list(range(7))
    kinds = (await client.get("/jobs", params={"kind": "odd"})).json()
    assert {job["kind"] for job in kinds["jobs"]} == {"odd"} and kinds["total"] is None
    tagged = (await client.get("/jobs", params={"tag": "t3"})).json()["jobs"]
    assert [job["tags"] for job in tagged] == [["t3"]]
    assert len((await client.get("/jobs", params={"q": '"n":3'})).json()["jobs"]) == 1


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "status=nope", "cursor=%C3%BF", "cursor=W10", "queue=UP", "state=dead",
              "kind=%00", "q=" + "x" * 201]
)  # fmt: skip
async def test_a_wrong_list_is_422(client: httpx.AsyncClient, query: str) -> None:
    found = _problem(await client.get(f"/jobs?{query}"), 422, "invalid")
    assert found["errors"][0]["pointer"] == "/" + query.partition("=")[0]


async def test_a_damaged_hash_spoils_no_page(client: httpx.AsyncClient, queue: RedisQueue) -> None:
    """What is stored is not trusted: a payload that is no JSON is shown as text."""
    job = await _submit(client)
    other = await _submit(client)
    damage = {"payload": b'{"a":\xff', "result": b"NaN", "progress": b"[" * 100_000, "created_at": b"9" * 40}
    damage |= {"last_error": b'{"type":"\\ud800"}', "tags": b"{}", "priority": b"x", "status": b"queued"}
    await queue.client.hset(queue.keys.job(job["id"]), mapping=damage)
    page = json.loads((await client.get("/jobs")).content)
    assert [one["id"] for one in page["jobs"]] == [job["id"], other["id"]]
    assert isinstance(page["jobs"][0]["payload"], str) and page["jobs"][0]["created_at"] is None


async def test_the_routers_own_errors_are_problems(client: httpx.AsyncClient) -> None:
    _problem(await client.get("/nope"), 404, "not_found")
    answer = await client.put("/jobs")
    _problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"
    _problem(await client.post("/jobs/"), 404, "not_found")


async def test_a_finished_job_shows_its_result(
    client: httpx.AsyncClient, queue: RedisQueue, lane: Lane
) -> None:
    job = await _submit(client)
    (claimed,) = await lane.claim()
    await queue.progress(claimed.id, claimed.fence, '{"done": 0.5}')
    shown = (await client.get(f"/jobs/{job['id']}")).json()
    assert (shown["status"], shown["worker"], shown["progress"]) == ("running", "w1", {"done": 0.5})
    await lane.settle(claimed, "retry", error_json=ERROR, delay_ms=2000, fingerprint="f")
    shown = (await client.get(f"/jobs/{job['id']}")).json()
    assert (shown["status"], shown["retry_count"], shown["last_error"]["type"]) == (
        "retrying",
        1,
        "ValueError",
    )
    await move_clock(queue, 2000)
    (claimed,) = await lane.claim()
    await lane.settle(claimed, "completed", result_json=b'{"n": 1e5, "big": 99999999999999999999}')
    answer = await client.get(f"/jobs/{job['id']}")
    assert b'"result":{"n": 1e5, "big": 99999999999999999999},' in answer.content
    assert (answer.json()["status"], len(answer.json()["attempts"])) == ("completed", 2)
