"""Bodies, names of hosts and pages that must be refused, on every method and path. Nothing of it changes anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.job import new_job_id
from ironforge.queue.backend import RedisQueue
from ironforge.server import limits
from ironforge.server.app import create_app
from ironforge.server.origins import allowed_hosts
from tests.server.conftest import Served
from tests.server.test_json_exact import REFUSED

JSON = {"content-type": "application/json"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW")
PATHS = (
    "/jobs",
    f"/jobs/{new_job_id()}",
    "/queues/default/pause",
    "/health",
    "/health/live",
    "/docs",
    "/metrics",
    "/x",
)


@pytest.mark.parametrize("body", [body for body, _ in REFUSED], ids=lambda body: repr(body[:24]))
async def test_hostile_bodies_are_422_or_413(
    client: httpx.AsyncClient, queue: RedisQueue, body: bytes
) -> None:
    for path in ("/jobs", "/jobs/batch", f"/jobs/{new_job_id()}/retry"):
        answer = await client.post(path, content=body, headers=JSON)
        expected = {413} if len(body) > limits.MAX_BODY and path != "/jobs/batch" else {422}
        if path.endswith("retry") and not body.strip():
            expected = {404}  # no body is no mistake there
        assert answer.status_code in expected, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert not await queue.client.exists(queue.keys.queues)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp",
     "application/json; charset=utf-16", "text/json", "application/json, text/plain"],
)  # fmt: skip
async def test_only_json_is_read(client: httpx.AsyncClient, queue: RedisQueue, content_type: str) -> None:
    for method, path in (
        ("POST", "/jobs"),
        ("POST", "/jobs/batch"),
        ("DELETE", f"/jobs/{new_job_id()}"),
        ("GET", "/jobs"),
    ):
        answer = await client.request(
            method, path, content=b'{"kind":"a"}', headers={"content-type": content_type}
        )
        assert (answer.status_code, answer.json()["type"]) == (415, "not_json")
    packed = await client.post("/jobs", content=b'{"kind":"a"}', headers={**JSON, "content-encoding": "gzip"})
    assert packed.status_code == 415
    assert not await queue.client.exists(queue.keys.queues)


async def test_a_body_without_a_declared_length_has_to_be_json_too(
    client: httpx.AsyncClient, queue: RedisQueue
) -> None:
    """A page of somebody else may send text without asking first; of what length, nobody tells."""

    async def body() -> AsyncIterator[bytes]:
        yield b'{"kind":"a"}'

    answer = await client.post("/jobs", content=body(), headers={"content-type": "text/plain"})
    assert "content-length" not in answer.request.headers
    assert (answer.status_code, answer.json()["type"]) == (415, "not_json")
    assert not await queue.client.exists(queue.keys.queues)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'],
)
async def test_json_by_any_spelling_is_read(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await client.post("/jobs", content=b'{"kind":"a"}', headers={"content-type": content_type})
    assert answer.status_code == 201


def _body(size: int) -> bytes:
    empty = json.dumps({"kind": "a", "payload": {"x": ""}}).encode()
    return empty.replace(b'""', b'"' + b"x" * (size - len(empty)) + b'"')


async def test_the_limit_is_exact(client: httpx.AsyncClient) -> None:
    assert (await client.post("/jobs", content=_body(limits.MAX_BODY), headers=JSON)).status_code == 201
    answer = await client.post("/jobs", content=_body(limits.MAX_BODY + 1), headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "payload_too_large")


async def test_a_stream_without_end_is_cut_at_the_limit(served: Served) -> None:
    """The body is counted while it comes; the connection is closed and no more than the limit was kept."""
    sent = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = f"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    try:
        while sent < 1 << 30:
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)
    except ConnectionError:
        pass
    answer = b""
    try:
        answer = await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        pass
    writer.close()
    assert sent < 64 << 20, "the server read on"
    assert not answer or answer.startswith(b"HTTP/1.1 413 ")


async def test_a_declared_length_is_refused_before_it_comes(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = f"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 1073741824\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ") and b"connection: close" in answer.lower()


async def test_a_body_that_does_not_come_is_given_up(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BODY_TIMEOUT_S", 0.05)
    never = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"kind":'
        await never.wait()

    answer = await client.post("/jobs", content=slow(), headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (408, "request_timeout")


HOSTS = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:3000@evil.example", "", "localhost:",
         "localhost:99999", "localhost:x", "[::2]", "0.0.0.0", "192.168.0.1:3000", "localhost, evil", "ⓛocalhost", "localhost.",
         "user@localhost", "localhost/evil", "2130706433"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
async def test_a_foreign_host_is_refused_on_every_method(client: httpx.AsyncClient, host: str) -> None:
    for method in METHODS:
        for path in PATHS:
            answer = await client.request(method, path, headers={"host": host.encode()})
            assert answer.status_code == 403, (method, path)
            assert method == "HEAD" or answer.json()["type"] == "host_refused"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:3000", "[::1]", "[::1]:1"]
)
async def test_our_own_names_are_answered(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/health/live", headers={"host": host})).status_code == 200


FOREIGN = [
    {"origin": "null"},
    {"origin": "http://evil.example"},
    {"origin": "http://localhost:3001"},
    {"origin": "https://localhost:3000"},
    {"origin": "http://127.0.0.1:3000"},
    {"origin": ""},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "x"},
    {"origin": "http://localhost:3000", "sec-fetch-site": "cross-site"},
    {"origin": "http://evil.example", "x-http-method-override": "GET"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_foreign_page_is_refused_on_every_method(
    client: httpx.AsyncClient, queue: RedisQueue, headers: dict[str, str]
) -> None:
    for method in METHODS:
        for path in PATHS:
            answer = await client.request(method, path, headers={**headers, **JSON}, content=b'{"kind":"a"}')
            assert answer.status_code == 403, (method, path)
            assert "access-control-allow-origin" not in answer.headers
            assert method == "HEAD" or answer.json()["type"] == "origin_refused"
    assert not await queue.client.exists(queue.keys.queues)


async def test_our_own_page_is_answered(client: httpx.AsyncClient) -> None:
    headers = {"origin": "http://localhost:3000", "sec-fetch-site": "same-origin"}
    answer = await client.post("/jobs", json={"kind": "a"}, headers=headers)
    assert answer.status_code == 201
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert (await client.get("/health", headers={"sec-fetch-site": "none"})).status_code == 200


async def test_two_hosts_are_refused(client: httpx.AsyncClient) -> None:
    request = client.build_request("GET", "/health")
    request.headers = httpx.Headers([("host", "localhost"), ("host", "localhost")])
    assert (await client.send(request)).status_code == 403


def test_names_that_are_answered() -> None:
    wide = allowed_hosts(
        Settings(bind_addr="0.0.0.0:3000", allowed_hosts=("Jobs.Example", "other:8080", "fe80::1"))
    )
    assert wide == {"localhost", "127.0.0.1", "[::1]", "jobs.example", "other:8080", "[fe80::1]"}
    assert "[fd00::2]" in allowed_hosts(Settings(bind_addr="[fd00::2]:3000"))


async def test_allowed_hosts_and_the_address_that_was_reached(redis_url: str, namespace: str) -> None:
    forge = Forge(
        settings=Settings(redis_url=redis_url, namespace=namespace, allowed_hosts=("jobs.example", "only:81"))
    )
    transport = httpx.ASGITransport(create_app(forge))
    async with httpx.AsyncClient(transport=transport, base_url="http://192.168.7.7:3000") as client:
        for host, status in (
            ("jobs.example:1", 200),
            ("only:81", 200),
            ("only:82", 403),
            ("only", 403),
            ("192.168.7.8", 403),
        ):
            assert (await client.get("/health/live", headers={"host": host})).status_code == status, host
        assert (await client.get("/health/live")).status_code == 200, (
            "the address the connection came to is ours"
        )
    await forge.aclose()


async def test_a_mistake_of_ours_tells_nothing(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("redis://:secret@10.0.0.1:6379 exploded")

    monkeypatch.setattr(RedisQueue, "get", broken)
    answer = await client.get(f"/jobs/{new_job_id()}")
    assert (answer.status_code, answer.json()["type"]) == (500, "internal_error")
    assert "secret" not in answer.text and "10.0.0.1" not in answer.text and "Traceback" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
