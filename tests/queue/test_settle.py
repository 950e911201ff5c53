from __future__ import annotations

import pytest

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.keys import BUCKETS_MS
from ironforge.queue.readings import Settlement, Turn
from tests.queue.state import ERROR, Lane, dead_job, dump, move_clock, structure
from tests.queue.stopped import Stopped


async def test_completed(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await lane.settle(job, "completed", result_json=b'"hi"') == "ok"
    stored = await queue.get(job.id)
    assert (stored.status, stored.result, stored.worker) == (JobStatus.COMPLETED, "hi", None)
    assert [(attempt.number, attempt.outcome, attempt.worker) for attempt in stored.attempts] == [
        (1, "completed", "w1")
    ]
    assert stored.started_ms == job.started_ms and stored.finished_ms is not None
    state = await structure(queue)
    assert state["q:default:completed"] == [job.id]
    assert "q:default:running" not in state and "worker:w1:claims" not in state


async def test_a_retry_waits_in_retrying_and_is_counted(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await lane.settle(job, "retry", error_json=ERROR, delay_ms=2000, fingerprint="f") == "ok"
    stored = await queue.get(job.id)
    assert (stored.status, stored.retry_count, stored.started_ms) == (JobStatus.RETRYING, 1, None)
    assert stored.last_error is not None and stored.last_error.type == "ValueError"
    assert stored.attempts[0].outcome == "failed" and stored.attempts[0].error == stored.last_error
    assert stored.run_at_ms == stored.attempts[0].finished_ms + 2000
    assert await lane.claim() == []
    await move_clock(queue, 2000)
    assert [claimed.id for claimed in await lane.claim()] == [job.id]


async def test_no_retry_beyond_max_retries_whatever_the_worker_says(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet", max_retries=1))
    for expected in (JobStatus.RETRYING, JobStatus.DEAD):
        (job,) = await lane.claim()
        assert await lane.settle(job, "retry", error_json=ERROR, delay_ms=1, fingerprint="f") == "ok"
        assert (await queue.get(job.id)).status is expected
        await move_clock(queue, 1000)


async def test_dead_jobs_are_grouped_by_fingerprint(queue: RedisQueue, lane: Lane) -> None:
    first = await dead_job(queue, lane, "f1")
    second = await dead_job(queue, lane, "f1")
    third = await dead_job(queue, lane, "f2")
    state = await structure(queue)
    assert state["dead:group:f1"] == [first.id, second.id] and state["dead:group:f2"] == [third.id]
    groups, cursor, total = await queue.dead_groups()
    assert [(group.fingerprint, group.count) for group in groups] == [("f1", 2), ("f2", 1)]
    assert (cursor, total) == (None, 2)
    assert groups[0].sample is not None and groups[0].sample.id == second.id


async def test_released_keeps_its_place_and_is_not_charged(queue: RedisQueue, lane: Lane) -> None:
    first, second = await queue.enqueue_many([NewJob("greet"), NewJob("greet")])
    (job,) = await lane.claim()
    assert await lane.settle(job, "released") == "ok"
    assert (await structure(queue))["q:default:queued"] == [first.id, second.id]
    stored = await queue.get(first.id)
    assert (stored.retry_count, stored.crashes, stored.lapses) == (0, 0, 0)
    assert stored.attempts[0].outcome == "released"


async def test_released_with_a_delay_waits_uncharged(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await lane.settle(job, "released", delay_ms=15_000) == "ok"
    stored = await queue.get(job.id)
    assert (stored.status, stored.retry_count) == (JobStatus.RETRYING, 0)


@pytest.mark.parametrize("outcome", ["completed", "retry", "dead", "cancelled", "released"])
async def test_a_settle_sent_again_changes_nothing(queue: RedisQueue, lane: Lane, outcome: str) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    assert await lane.settle(job, outcome, error_json=ERROR, fingerprint="f", delay_ms=0) == "ok"
    before = await dump(queue)
    assert await lane.settle(job, outcome, error_json=ERROR, fingerprint="f", delay_ms=0) == "already"
    assert await dump(queue) == before


@pytest.mark.parametrize("outcome", ["completed", "retry", "dead", "cancelled", "released"])
async def test_a_stale_fence_changes_nothing(queue: RedisQueue, lane: Lane, outcome: str) -> None:
    """The zombie: its job was handed back and runs elsewhere."""
    await queue.enqueue(NewJob("greet"))
    (stale,) = await lane.claim()
    await queue.hand_back("w1", "crashed", {})
    other = await Lane(queue, "w2").register()
    (current,) = await other.claim()
    before = await dump(queue)
    assert await lane.settle(stale, outcome, error_json=ERROR, fingerprint="f") == "refused"
    after = await dump(queue)
    assert after["stats"].pop("refused") == "1"
    assert after == before
    assert await other.settle(current, "completed") == "ok"


async def test_a_late_settle_under_the_current_fence_counts(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (job,) = await lane.claim()
    await move_clock(queue, 60_000)
    assert await lane.settle(job, "completed") == "ok"


async def test_only_the_last_ten_attempts_are_kept(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet", max_retries=100))
    for _ in range(13):
        (job,) = await lane.claim()
        assert await lane.settle(job, "retry", error_json=ERROR, delay_ms=0, fingerprint="f") == "ok"
    stored = await queue.get(job.id)
    assert [attempt.number for attempt in stored.attempts] == list(range(4, 14))
    fields = await queue.client.hkeys(queue.keys.job(stored.id))
    assert sum(field.startswith(b"attempt:") for field in fields) == 10
    assert stored.retry_count == 13


async def test_a_job_asked_to_cancel_does_not_come_back(queue: RedisQueue, lane: Lane) -> None:
    for outcome in ("retry", "released", "dead"):
        await queue.enqueue(NewJob("greet"))
        (job,) = await lane.claim()
        await queue.cancel(job.id)
        assert await lane.settle(job, outcome, error_json=ERROR, fingerprint="f") == "ok"
        assert (await queue.get(job.id)).status is JobStatus.CANCELLED
    assert (await lane.turn(1)).orders == []


async def test_statistics_agree_with_what_happened(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    jobs = await lane.claim(3)
    await move_clock(queue, 700)
    await lane.settle(jobs[0], "completed")
    await lane.settle(jobs[1], "retry", error_json=ERROR, delay_ms=60_000, fingerprint="f")
    await lane.settle(jobs[2], "dead", error_json=ERROR, fingerprint="f")
    stats = await queue.read_stats()
    assert stats.submitted == {("greet", "medium"): 3}
    assert (stats.completed, stats.failed, stats.dlq) == ({"greet": 1}, {"greet": 2}, {"greet": 1})
    assert stats.retried == {("greet", "1"): 1}
    assert stats.waits["greet"].count == 3
    completed, failed = stats.durations["greet", "completed"], stats.durations["greet", "failed"]
    assert (completed.count, failed.count) == (1, 2)
    assert 700 <= completed.sum_ms < 900 and completed.buckets[7] == 1


async def test_kinds_beyond_the_limit_count_as_other(queue: RedisQueue) -> None:
    await queue.enqueue_many([NewJob(f"kind{at}") for at in range(203)])
    submitted = (await queue.read_stats()).submitted
    assert len(submitted) == 201
    assert submitted["other", "medium"] == 3


async def test_a_batch_of_every_outcome_is_answered_in_its_own_order(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(6)])
    jobs = await lane.claim(6)
    batch = [
        Settlement(jobs[0].id, jobs[0].fence, "retry", None, ERROR, 1000, "f"),
        Settlement(jobs[1].id, jobs[1].fence, "completed", b"1"),
        Settlement(jobs[2].id, "1:other", "completed"),
        Settlement(jobs[3].id, jobs[3].fence, "dead", None, ERROR, 0, "f"),
        Settlement(jobs[4].id, jobs[4].fence, "completed"),
        Settlement(jobs[5].id, "1:other", "released"),
    ]
    assert (await lane.turn(0, *batch)).settled == ["ok", "ok", "refused", "ok", "ok", "refused"]
    assert (await lane.turn(0, *batch)).settled == [
        "already",
        "already",
        "refused",
        "already",
        "already",
        "refused",
    ]
    statuses = [(await queue.get(job.id)).status.value for job in jobs]
    assert statuses == ["retrying", "completed", "running", "dead", "completed", "running"]
    assert (await queue.get(jobs[1].id)).result == 1


async def test_what_a_completion_writes_to_the_millisecond(queue: RedisQueue, stopped: Stopped) -> None:
    fence = await stopped.run("a", retention_ms=5_000)
    await stopped.run("b")
    began = stopped.now_ms
    stopped.later(70)
    version = await stopped.version()
    assert await stopped.settle("a", "completed", fence=fence, result_json=b"[1]") == "ok"
    assert await stopped.settle("b", "completed", fence="1:t-b") == "ok"
    now = stopped.now_ms
    for job_id in ("a", "b"):
        stored = await stopped.hash(f"job:{job_id}")
        assert (stored["status"], stored["finished_at"]) == ("completed", str(now))
        assert (stored["attempt_count"], stored["attempt:1"]) == ("1", f"{began} {now} w-{job_id} completed")
        assert stored["settled"] == f"1:t-{job_id}" and "worker" not in stored and "last_error" not in stored
        assert stored.get("result") == ("[1]" if job_id == "a" else None)
    assert await stopped.scores("q:mail:completed") == {"a": now + 5_000, "b": now + 86_400_000}
    assert await stopped.members("worker:w-a:claims") == set()
    assert await stopped.version() == version + 2
    stats = await queue.read_stats()
    durations = stats.durations["greet", "completed"]
    assert (stats.completed, durations.count, durations.sum_ms, durations.buckets[4]) == (
        {"greet": 2},
        2,
        140,
        2,
    )
    assert "greet" not in stats.failed and ("greet", "failed") not in stats.durations
    assert [slot.completed for slot in (await queue.read_series()).slots if slot.completed] == [{"mail": 2}]


async def test_what_a_death_writes_to_the_millisecond(queue: RedisQueue, stopped: Stopped) -> None:
    fence = await stopped.run("a")
    began = stopped.now_ms
    stopped.later(70)
    version = await stopped.version()
    assert await stopped.settle("a", "dead", fence=fence, error_json=ERROR, reason="discarded") == "ok"
    now = stopped.now_ms
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["finished_at"], stored["fingerprint"]) == ("dead", str(now), "f")
    assert (stored["reason"], stored["last_error"]) == ("discarded", ERROR)
    assert stored["attempt:1"] == f"{began} {now} w-a failed {ERROR}"
    assert await stopped.scores("q:mail:dead") == await stopped.scores("dead:group:f") == {"a": now}
    assert await stopped.scores("dead:groups") == {"f": 1}
    assert await stopped.version() == version + 1
    stats = await queue.read_stats()
    assert (stats.failed, stats.dlq, stats.durations["greet", "failed"].sum_ms) == (
        {"greet": 1},
        {"greet": 1},
        70,
    )
    (slot,) = (slot for slot in (await queue.read_series()).slots if slot.dead)
    assert (slot.dead, slot.failed) == ({"mail": 1}, {"mail": 1})
    assert await stopped.settle("b", "dead", fence=await stopped.run("b")) == "ok"
    assert await stopped.scores("dead:groups") == {"f": 2} and "reason" not in await stopped.hash("job:b")


async def test_what_a_retry_writes_to_the_millisecond(queue: RedisQueue, stopped: Stopped) -> None:
    fence = await stopped.run("a")
    stopped.later(70)
    await stopped.woken()
    assert await stopped.settle("a", "retry", fence=fence, error_json=ERROR, delay_ms=2_000) == "ok"
    due = stopped.now_ms + 2_000
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["run_at"], stored["retry_count"]) == ("retrying", str(due), "1")
    assert "finished_at" not in stored and "fingerprint" not in stored
    assert await stopped.scores("q:mail:retrying") == {"a": due}
    assert await stopped.woken(), "it is due earlier than anything an idle worker knows of"
    stats = await queue.read_stats()
    assert (stats.failed, stats.retried, stats.dlq) == ({"greet": 1}, {("greet", "1"): 1}, {})


async def test_what_a_release_writes_to_the_millisecond(queue: RedisQueue, stopped: Stopped) -> None:
    place = stopped.place(3)
    fence = await stopped.run("a", rank=3)
    stopped.later(70)
    await stopped.woken()
    assert await stopped.settle("a", "released", fence=fence) == "ok"
    assert await stopped.scores("q:mail:queued") == {"a": place} and await stopped.woken()
    assert (await stopped.hash("job:a"))["status"] == "queued"
    await stopped.claim(wid="w-a", token="t2")
    assert await stopped.settle("a", "released", fence="2:t2", delay_ms=1) == "ok"
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["run_at"]) == ("retrying", str(stopped.now_ms + 1))
    assert "retry_count" not in stored
    stats = await queue.read_stats()
    assert (stats.failed, stats.retried, stats.durations["greet", "released"].count) == ({}, {}, 2)


@pytest.mark.parametrize("outcome", ["retry", "released", "dead", "cancelled"])
async def test_what_a_cancelled_end_writes_to_the_millisecond(
    queue: RedisQueue, stopped: Stopped, outcome: str
) -> None:
    await stopped.run("a", retention_ms=5_000)
    await stopped.run("b")
    stopped.later(70)
    for job_id in ("a", "b"):
        await stopped.call("cancel", job_id, "", "")
        assert await stopped.settle(job_id, outcome, fence=f"1:t-{job_id}", error_json=ERROR) == "ok"
        assert await stopped.members(f"worker:w-{job_id}:orders") == set()
    now = stopped.now_ms
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["finished_at"], stored["last_error"]) == ("cancelled", str(now), ERROR)
    assert stored["attempt:1"].endswith(f" w-a cancelled {ERROR}")
    assert "cancel_requested" not in stored and "worker" not in stored
    assert await stopped.scores("q:mail:cancelled") == {"a": now + 5_000, "b": now + 86_400_000}
    stats = await queue.read_stats()
    assert (stats.failed, stats.dlq, stats.durations["greet", "cancelled"].count) == ({}, {}, 2)


async def test_a_cancel_of_one_job_leaves_the_orders_of_others(stopped: Stopped) -> None:
    fence = await stopped.run("a")
    await stopped.put("worker:w-a:orders", "SADD", "cancel:other", "quiet")
    await stopped.call("cancel", "a", "", "")
    assert await stopped.settle("a", "cancelled", fence=fence) == "ok"
    assert await stopped.members("worker:w-a:orders") == {"cancel:other", "quiet"}
    assert await stopped.members("worker:w-a:claims") == set()
    await stopped.put("worker:w-a:orders", "DEL")


async def test_the_numbers_of_retries_that_are_counted_apart(queue: RedisQueue, stopped: Stopped) -> None:
    await stopped.register()
    await stopped.enqueue("a", max_retries=100)
    for at in range(1, 13):
        await stopped.claim(token=f"t{at}")
        assert await stopped.settle("a", "retry", fence=f"{at}:t{at}") == "ok"
    retried = (await queue.read_stats()).retried
    assert retried == {("greet", str(at)): 1 for at in range(1, 11)} | {("greet", "10+"): 2}
    stored = await stopped.hash("job:a")
    assert [at for at in range(14) if f"attempt:{at}" in stored] == list(range(3, 13))


async def test_exactly_ten_attempts_are_kept(stopped: Stopped) -> None:
    await stopped.register()
    await stopped.enqueue("a")
    for at in range(1, 11):
        await stopped.claim(token=f"t{at}")
        assert await stopped.settle("a", "released", fence=f"{at}:t{at}") == "ok"
    stored = await stopped.hash("job:a")
    assert [at for at in range(14) if f"attempt:{at}" in stored] == list(range(1, 11))


@pytest.mark.parametrize(("max_retries", "retries"), [(None, 3), (0, 0), (5, 5)])
async def test_as_many_retries_as_were_asked_for(
    stopped: Stopped, max_retries: int | None, retries: int
) -> None:
    await stopped.register()
    await stopped.enqueue("a", **({} if max_retries is None else {"max_retries": max_retries}))
    for at in range(1, retries + 2):
        await stopped.claim(token=f"t{at}")
        assert await stopped.settle("a", "retry", fence=f"{at}:t{at}") == "ok"
        stored = await stopped.hash("job:a")
        assert stored["status"] == ("retrying" if at <= retries else "dead")
    assert stored.get("retry_count") == (str(retries) if retries else None)


async def test_a_job_that_lost_its_sequence_gets_a_new_one(stopped: Stopped) -> None:
    fence = await stopped.run("a", rank=1)
    stopped.later(5)
    await stopped.put("job:a", "HDEL", "sequence")
    assert await stopped.settle("a", "released", fence=fence) == "ok"
    assert await stopped.scores("q:mail:queued") == {"a": stopped.place(1)}


async def test_one_turn_settles_many_and_says_a_word_for_each(queue: RedisQueue, stopped: Stopped) -> None:
    fences = {job_id: await stopped.run(job_id) for job_id in ("a", "b", "c", "d", "e")}
    assert await stopped.settle("e", "completed", fence=fences["e"]) == "ok"
    settlements = [
        Settlement("a", fences["a"], "completed", result_json=b"1"),
        Settlement("b", "1:other", "completed"),
        Settlement("c", fences["c"], "retry", error_json=ERROR, delay_ms=10, fingerprint="f"),
        Settlement("nobody", "1:x", "dead", fingerprint="f"),
        Settlement("d", fences["d"], "dead", error_json=ERROR, fingerprint="f", reason="why"),
        Settlement("e", fences["e"], "completed"),
    ]
    words = (await queue.turn(Turn("", 0, "", 0, (), settlements))).settled
    assert words == ["ok", "refused", "ok", "refused", "ok", "already"]
    found = [(await stopped.hash(f"job:{job_id}"))["status"] for job_id in fences]
    assert found == ["completed", "running", "retrying", "dead", "completed"]
    assert (await queue.read_stats()).others["refused"] == 2
    assert (await stopped.hash("job:d"))["reason"] == "why"


async def test_a_worker_whose_job_was_taken_back_did_not_settle_it(stopped: Stopped) -> None:
    """Also when the job comes back to the same worker: the fence that ended says who is meant."""
    fence = await stopped.run("a")
    await stopped.call("hand_back", "w-a", "crashed", "")
    assert await stopped.settle("a", "completed", fence=fence) == "refused"
    await stopped.register()
    await stopped.claim(token="t2")
    assert await stopped.settle("a", "completed", fence=fence) == "refused"
    assert await stopped.settle("a", "completed", fence="2:t2") == "ok"
    assert await stopped.settle("a", "completed", fence="2:t2") == "already"


async def test_a_suspect_that_comes_back_by_itself_waits_among_the_suspects(stopped: Stopped) -> None:
    fence = await stopped.run("a")
    await stopped.put("job:a", "HSET", "crashes", 2)
    await stopped.put("worker:w-a", "HSET", "alone", "a")
    place = stopped.place()
    assert await stopped.settle("a", "released", fence=fence) == "ok"
    assert await stopped.scores("q:mail:suspects") == {"a": place}
    assert "alone" not in await stopped.hash("worker:w-a")


async def test_an_innocent_that_ends_leaves_the_mark_of_the_one_alone(stopped: Stopped) -> None:
    fence = await stopped.run("a")
    await stopped.put("job:a", "HSET", "crashes", 1)
    await stopped.put("worker:w-a", "HSET", "alone", "other")
    assert await stopped.settle("a", "completed", fence=fence) == "ok"
    assert (await stopped.hash("worker:w-a"))["alone"] == "other"


async def test_each_duration_counts_in_its_bucket(queue: RedisQueue, stopped: Stopped) -> None:
    """A bound belongs to the bucket it closes; what lies beyond the last goes to an open one; no time runs back."""
    total = 0
    for at, bound in enumerate((*BUCKETS_MS, None)):
        for number, ms in enumerate((bound, bound + 1) if bound else (-1, -50)):
            job_id = f"j{at}-{number}"
            fence = await stopped.run(job_id)
            stopped.later(ms)
            assert await stopped.settle(job_id, "completed", fence=fence) == "ok"
            total += max(0, ms)
    durations = (await queue.read_stats()).durations["greet", "completed"]
    assert durations.buckets == [3, *([2] * (len(BUCKETS_MS) - 1)), 1]
    assert durations.sum_ms == total


async def test_kinds_have_labels_of_their_own_up_to_the_two_hundredth(
    queue: RedisQueue, stopped: Stopped
) -> None:
    for at in (*range(201), 0, 200):
        await queue.enqueue(NewJob(f"kind{at}"))
    submitted = (await queue.read_stats()).submitted
    assert len(submitted) == 201
    assert (submitted["kind199", "medium"], submitted["other", "medium"], submitted["kind0", "medium"]) == (
        1,
        2,
        2,
    )


async def test_what_happened_in_a_slot_is_kept_for_an_hour(stopped: Stopped) -> None:
    before = await stopped.server_ms()
    await stopped.enqueue("a")
    slot = f"stats:{stopped.now_ms // 10_000}"
    kept = await stopped.ttl_ms(slot)
    assert 3_600_000 - (await stopped.server_ms() - before) <= kept <= 3_600_000
    assert await stopped.ttl_ms("stats") == -1
    stopped.later(10_000)
    await stopped.enqueue("b")
    assert await stopped.hash(slot) != {} and await stopped.hash(f"stats:{stopped.now_ms // 10_000}") != {}


async def test_a_run_that_was_not_the_first_completes_as_such(queue: RedisQueue, stopped: Stopped) -> None:
    fence = await stopped.run("a")
    assert await stopped.settle("a", "released", fence=fence) == "ok"
    await stopped.claim(wid="w-a", token="t2")
    assert await stopped.settle("a", "completed", fence="2:t2") == "ok"
    stored = await stopped.hash("job:a")
    assert stored["attempt_count"] == "2"
    assert [stored[f"attempt:{at}"].split()[3] for at in (1, 2)] == ["released", "completed"]
    assert stored["settled"] == "2:t2" and (await queue.read_stats()).completed == {"greet": 1}


async def test_completions_of_several_queues_and_kinds_in_one_turn(
    queue: RedisQueue, stopped: Stopped
) -> None:
    wanted = [("mail", "greet"), ("bulk", "greet"), ("mail", "other"), ("mail", "greet")]
    await stopped.call(
        "enqueue",
        4,
        *(x for at, (name, kind) in enumerate(wanted) for x in (f"j{at}", name, kind, 2, "now", 0, 0)),
    )
    await stopped.register()
    await stopped.claim("mail", "bulk", n=9)
    stopped.later(70)
    versions = [await stopped.version(name) for name in ("mail", "bulk")]
    settlements = [Settlement(f"j{at}", "1:t", "completed") for at in range(4)]
    assert (await queue.turn(Turn("", 0, "", 0, (), settlements))).settled == ["ok"] * 4
    expiry = stopped.now_ms + 86_400_000
    assert await stopped.scores("q:mail:completed") == {"j0": expiry, "j2": expiry, "j3": expiry}
    assert await stopped.scores("q:bulk:completed") == {"j1": expiry}
    assert await stopped.scores("q:mail:running") == {} and await stopped.members("worker:w:claims") == set()
    assert [await stopped.version(name) for name in ("mail", "bulk")] == [version + 1 for version in versions]
    stats = await queue.read_stats()
    assert stats.completed == {"greet": 3, "other": 1}
    assert {key: (one.count, one.sum_ms) for key, one in stats.durations.items()} == {
        ("greet", "completed"): (3, 210), ("other", "completed"): (1, 70),
    }  # fmt: skip
    assert [slot.completed for slot in (await queue.read_series()).slots if slot.completed] == [
        {"mail": 3, "bulk": 1}
    ]


@pytest.mark.parametrize("lost", [("worker",), ("started_at",), ("worker", "started_at")])
@pytest.mark.parametrize("outcome", ["completed", "retry", "dead", "cancelled", "released"])
async def test_a_run_of_which_the_hash_lost_who_or_when_still_ends(
    stopped: Stopped, outcome: str, lost: tuple[str, ...]
) -> None:
    """One damaged job must not keep the others of its turn from being settled."""
    fence = await stopped.run("a")
    await stopped.put("job:a", "HDEL", *lost)
    if "worker" in lost:
        await stopped.put("worker:w-a:claims", "DEL")
    assert await stopped.settle("a", outcome, fence=fence, error_json=ERROR) == "ok"
    began, _, worker, _ = (await stopped.hash("job:a"))["attempt:1"].split()[:4]
    assert (began == "0", worker == "-") == ("started_at" in lost, "worker" in lost)


async def test_a_job_that_completes_though_it_was_asked_to_stop_is_asked_no_more(stopped: Stopped) -> None:
    fence = await stopped.run("a")
    await stopped.call("cancel", "a", "", "")
    assert await stopped.settle("a", "completed", fence=fence) == "ok"
    stored = await stopped.hash("job:a")
    assert stored["status"] == "completed" and "cancel_requested" not in stored
    assert await stopped.members("worker:w-a:orders") == set()
