"""The live stream: snapshot, changes, heartbeat; one poller; a slow listener; the end."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from ironforge import schemas
from ironforge.forge import Forge
from ironforge.job import NewJob, new_job_id
from ironforge.queue.backend import RedisQueue
from ironforge.server.auth import Role
from ironforge.server.live import MAX_PENDING, Listener, Live
from tests.queue.state import Lane
from tests.server.conftest import Served
from tests.server.sse import open_stream
from tests.waiting import eventually


async def test_hello_then_a_snapshot_then_a_heartbeat(served: Served, namespace: str) -> None:
    async with open_stream(served.url) as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert stream.answer.headers["cache-control"] == "no-store"
        assert stream.answer.headers["x-accel-buffering"] == "no"
        hello = await stream.next()
        greeting = schemas.Hello.model_validate(hello.data)
        assert (hello.name, greeting.seq, greeting.role, greeting.api) == ("hello", 0, "admin", 1)
        assert (greeting.namespace, greeting.durability) == (namespace, "none")
        stats = await stream.next()
        assert stats.name == "stats"
        overview = schemas.Overview.model_validate(stats.data)
        assert [queue.name for queue in overview.queues] == ["default"]
        assert len(overview.series.completed) == len(overview.series.wait_p99_s) == 30
        beats = [await stream.until(lambda event: event.name == "hb", 1.6) for _ in range(2)]
        assert all(beat.data["redis"] == "ok" for beat in beats)
        assert [event.data["seq"] for event in stream.events] == list(range(len(stream.events)))
        assert all(event.id == f"{greeting.epoch}:{event.data['seq']}" for event in stream.events)
        assert len([event for event in stream.events if event.name == "stats"]) <= 14, "at most four a second"


async def test_a_change_is_told_with_its_queue(served: Served, queue: RedisQueue) -> None:
    async with open_stream(served.url) as stream:
        await stream.until(lambda event: event.name == "stats")
        await queue.enqueue(NewJob("a", queue="mail"))
        changed = await stream.until(lambda event: event.name == "changed", 1.5)
        assert changed.data["queue"] == "mail" and changed.data["version"] > 0
        await stream.until(
            lambda event: event.name == "stats" and event.data["stats"]["queue_depth"] == 1, 1.5
        )


async def test_watched_jobs_are_told_until_they_are_gone(
    served: Served, queue: RedisQueue, lane: Lane
) -> None:
    payload = '{ "text":\r\n "a\u2028b",\n\r"n": 12345678901234567890 }'
    job = await queue.enqueue(NewJob("a", payload.encode()))
    missing = new_job_id()
    async with open_stream(served.url, watch=f"{job.id},{missing}") as stream:
        first = [await stream.until(lambda event: event.name == "job") for _ in range(2)]
        by_id = {event.data.get("id") or event.data["job"]["id"]: event.data["job"] for event in first}
        assert by_id[missing] is None
        assert by_id[job.id]["status"] == "queued" and by_id[job.id]["payload"] == json.loads(payload)
        (claimed,) = await lane.claim()
        await stream.until(lambda event: event.name == "job" and event.data["job"]["status"] == "running")
        await queue.progress(claimed.id, claimed.fence, '{"pct": 7}')
        await stream.until(lambda event: event.name == "job" and event.data["job"]["progress"] == {"pct": 7})
        await lane.settle(claimed, "completed")
        await queue.delete(job.id)
        await stream.until(lambda event: event.name == "job" and event.data.get("id") == job.id)


@pytest.mark.parametrize("watch", ["nope", ",".join(new_job_id() for _ in range(201))])
async def test_what_cannot_be_watched_is_422(client: httpx.AsyncClient, watch: str) -> None:
    answer = await client.get("/events", params={"watch": watch})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/watch"


async def test_one_poller_for_all_and_none_for_nobody(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    polls = 0
    read_queues = RedisQueue.read_queues

    async def counted(self: RedisQueue) -> object:
        nonlocal polls
        polls += 1
        return await read_queues(self)

    monkeypatch.setattr(RedisQueue, "read_queues", counted)
    served = Served(forge)
    live: Live = served.app.state.live
    async with open_stream(served.url) as one, open_stream(served.url) as other:
        began = asyncio.get_running_loop().time()
        for stream in (one, other):
            await stream.until(lambda event: event.name == "hb")
        await one.until(lambda event: event.name == "hb")
        assert live.listening == 2
        assert polls <= 3 + 4 * (asyncio.get_running_loop().time() - began)
    await eventually(lambda: live.listening == 0, 3, "the streams are noticed to be closed")
    assert not live.polling
    await served.stop()


async def test_a_slow_listener_loses_events_and_begins_anew() -> None:
    listener = Listener(Role.VIEWER, ())
    listener.offer("stats", b'"x":1}')
    listener.offer("hello", b'"epoch":"e"}')
    for _ in range(MAX_PENDING - 1):
        listener.offer("hb", b'"x":1}')
    assert not listener.behind
    listener.offer("hb", b'"x":1}')
    assert listener.behind, "its queue is full"
    listener.offer("hb", b'"x":1}')
    listener.offer("hello", b'"epoch":"e"}')
    events = listener.events("e")
    first = (await anext(events)).decode()
    assert first.startswith("event: hello\n") and f"id: e:{MAX_PENDING + 1}\n" in first
    listener.close()
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_a_client_that_does_not_read_holds_no_memory(
    served: Served, queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket fills, then its queue, and both stay bounded; others go on."""
    monkeypatch.setattr("ironforge.server.live.POLL_S", 0.002)
    monkeypatch.setattr("ironforge.server.live.BEAT_S", 0.002)
    await queue.enqueue_many([NewJob("a", queue=f"q{at:03d}") for at in range(200)])
    live: Live = served.app.state.live
    _, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    writer.write(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
    await eventually(lambda: live.listening == 1)
    (slow,) = live._listeners  # pyright: ignore[reportPrivateUsage]
    await eventually(lambda: slow.behind and slow._seq > MAX_PENDING, 15)  # pyright: ignore[reportPrivateUsage]
    assert len(slow._pending) <= MAX_PENDING  # pyright: ignore[reportPrivateUsage]
    writer.close()


async def test_open_streams_do_not_hold_up_the_end(forge: Forge) -> None:
    served = Served(forge)
    async with open_stream(served.url) as stream:
        await stream.until(lambda event: event.name == "stats")
        began = asyncio.get_running_loop().time()
        stopping = asyncio.create_task(served.stop())
        with pytest.raises(EOFError):
            while True:
                await asyncio.wait_for(stream.next(), 3)
        await stopping
    assert asyncio.get_running_loop().time() - began < 2
