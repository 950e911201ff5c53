from __future__ import annotations

from collections import Counter

import pytest

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from tests.queue.state import ERROR, Lane, dump, move_clock, structure
from tests.queue.stopped import Stopped


async def test_a_claim_moves_the_job_to_running_under_a_fence(queue: RedisQueue, lane: Lane) -> None:
    job = await queue.enqueue(NewJob("greet"))
    (claimed,) = await lane.claim(1, token="tok")
    assert (claimed.id, claimed.status, claimed.fence, claimed.worker) == (
        job.id,
        JobStatus.RUNNING,
        "1:tok",
        "w1",
    )
    stored = await queue.get(job.id)
    assert (stored.status, stored.worker, stored.fence) == (JobStatus.RUNNING, "w1", "1:tok")
    state = await structure(queue)
    assert state["q:default:running"] == [job.id]
    assert state["worker:w1:claims"] == {job.id}
    assert "q:default:queued" not in state


async def test_never_more_than_the_free_slots(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(5)])
    assert len(await lane.claim(3)) == 3
    assert len((await structure(queue))["q:default:queued"]) == 2


async def test_the_reply_that_was_lost_is_given_again(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(6)])
    first = await lane.claim(3, token="tok")
    before = await dump(queue)
    again = await lane.claim(3, token="tok")
    assert {job.id: job.fence for job in again} == {job.id: job.fence for job in first}
    assert await dump(queue) == before


async def test_two_claims_never_share_a_fence(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue(NewJob("greet"))
    (first,) = await lane.claim()
    assert await lane.settle(first, "released") == "ok"
    (second,) = await lane.claim()
    assert first.fence.startswith("1:") and second.fence.startswith("2:")


async def test_a_worker_without_a_lease_gets_nothing(queue: RedisQueue) -> None:
    await queue.enqueue(NewJob("greet"))
    reply = await Lane(queue, "stranger").turn(1)
    assert (reply.word, reply.jobs) == ("gone", [])
    assert len((await structure(queue))["q:default:queued"]) == 1


async def test_queues_are_served_in_the_order_given(queue: RedisQueue) -> None:
    for name in ("bulk", "mail", "bulk", "mail"):
        await queue.enqueue(NewJob("greet", queue=name))
    lane = await Lane(queue, queues=("mail", "bulk")).register()
    assert [job.queue for job in await lane.claim(3)] == ["mail", "mail", "bulk"]


async def test_what_many_queues_hold_is_found_wherever_it_is(queue: RedisQueue) -> None:
    names = tuple(f"q{at:02d}" for at in range(40))
    for name in ("q39", "q07", "q00", "q22", "q21"):
        await queue.enqueue(NewJob("greet", queue=name))
    await queue.enqueue(NewJob("greet", queue="q30", delay_ms=1_000))
    await queue.enqueue(NewJob("greet", queue="q11", delay_ms=60_000))
    await queue.pause("q21")
    lane = await Lane(queue, queues=names).register()
    await move_clock(queue, 1_000)
    reply = await lane.turn(3)
    assert [job.queue for job in reply.jobs] == ["q00", "q07", "q22"]
    assert reply.next_due_ms is not None and 58_000 < reply.next_due_ms <= 59_000
    assert [job.queue for job in await lane.claim(3)] == ["q30", "q39"]


async def test_queues_that_have_nothing_cost_no_commands_of_their_own(queue: RedisQueue) -> None:
    async def commands_of_a_claim(names: tuple[str, ...], wid: str) -> int:
        lane = await Lane(queue, wid, queues=names).register()
        await lane.claim(1)  # loads the script
        before = (await _calls(queue)).total()
        await lane.claim(1)
        return (await _calls(queue)).total() - before

    hundred = tuple(f"q{at:02d}" for at in range(100))
    nothing, of_a_hundred = (
        await commands_of_a_claim(("q00",), "w1"),
        await commands_of_a_claim(hundred, "w2"),
    )
    assert of_a_hundred - nothing < 10
    await queue.enqueue_many([NewJob("greet", queue="q00") for _ in range(10)])
    first = await commands_of_a_claim(("q00",), "w3")
    assert first > nothing > 0
    assert await commands_of_a_claim(hundred, "w4") == first, "those behind the first are not looked into"


async def test_a_queue_that_gave_less_than_was_asked_is_not_asked_again(
    queue: RedisQueue, lane: Lane
) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    before = await _calls(queue)
    assert len(await lane.claim(5)) == 3
    assert (await _calls(queue) - before)["cmdstat_zpopmin"] == 1


async def test_a_claim_that_had_enough_sets_no_marks_of_queues_it_did_not_look_into(
    queue: RedisQueue,
) -> None:
    names = tuple("abcd")  # b and c are looked into together
    await queue.enqueue_many([NewJob("greet", queue=name) for name in ("b", "c")])
    for name in ("b", "c"):
        assert await queue.wait_for_wake([name], 0.5) == name
    lane = await Lane(queue, queues=names).register()
    assert [job.queue for job in await lane.claim(1)] == ["b"]
    assert await queue.wait_for_wake(names, 0.05) is None
    assert [job.queue for job in await lane.claim(1)] == ["c"]


async def _calls(queue: RedisQueue) -> Counter[str]:
    stats = await queue.client.info("commandstats")
    return Counter({name: command["calls"] for name, command in stats.items()})


async def test_more_queues_than_one_command_can_name(queue: RedisQueue) -> None:
    names = tuple(f"q{at:04d}" for at in range(4_001))
    await queue.enqueue(NewJob("greet", queue="q4000"))
    lane = await Lane(queue, queues=names).register()
    assert [job.queue for job in await lane.claim(2)] == ["q4000"]


async def test_a_paused_queue_hands_out_nothing_and_resume_loses_nothing(
    queue: RedisQueue, lane: Lane
) -> None:
    job = await queue.enqueue(NewJob("greet"))
    await queue.pause("default")
    assert await lane.claim() == []
    await queue.resume("default")
    assert [claimed.id for claimed in await lane.claim()] == [job.id]


async def test_what_is_due_is_promoted_and_the_rest_announced(queue: RedisQueue, lane: Lane) -> None:
    soon = await queue.enqueue(NewJob("greet", delay_ms=10_000))
    await queue.enqueue(NewJob("greet", delay_ms=60_000))
    reply = await lane.turn(5)
    assert reply.jobs == [] and reply.next_due_ms is not None and 9_000 < reply.next_due_ms <= 10_000
    await move_clock(queue, 10_000)
    reply = await lane.turn(5)
    assert [job.id for job in reply.jobs] == [soon.id]
    assert reply.next_due_ms is not None and 49_000 < reply.next_due_ms <= 50_000


async def test_a_claim_that_had_enough_wakes_another_worker(queue: RedisQueue, lane: Lane) -> None:
    await queue.enqueue_many([NewJob("greet") for _ in range(3)])
    assert await queue.wait_for_wake(["default"], 0.5) == "default"
    await lane.claim(2)
    assert await queue.wait_for_wake(["default"], 0.5) == "default"
    await lane.claim(2)
    assert await queue.wait_for_wake(["default"], 0.05) is None


@pytest.mark.parametrize("status", ["running", "completed", "retrying"])
async def test_a_stray_in_the_index_is_dropped_and_not_delivered_twice(
    queue: RedisQueue, lane: Lane, status: str
) -> None:
    job = await queue.enqueue(NewJob("greet", max_retries=3))
    (claimed,) = await lane.claim(1)
    if status != "running":
        outcome = "completed" if status == "completed" else "retry"
        await lane.settle(claimed, outcome, error_json=ERROR, delay_ms=60_000, fingerprint="f")
    before = await queue.get(job.id)
    assert before.status == status
    await queue.client.zadd(queue.keys.index("default", "queued"), {job.id: 1})
    other = await queue.enqueue(NewJob("greet"))
    assert [one.id for one in await lane.claim(1)] == [other.id]
    assert await queue.get(job.id) == before


async def test_a_ghost_in_the_index_is_dropped_and_does_not_cost_a_slot(
    queue: RedisQueue, lane: Lane
) -> None:
    await queue.client.zadd(queue.keys.index("default", "queued"), {"ghost": 1})
    job = await queue.enqueue(NewJob("greet"))
    assert [claimed.id for claimed in await lane.claim(1)] == [job.id]


async def _crash_twice(queue: RedisQueue) -> str:
    job = await queue.enqueue(NewJob("greet"))
    for wid in ("c1", "c2"):
        lane = await Lane(queue, wid).register()
        assert [claimed.id for claimed in await lane.claim()] == [job.id]
        await queue.hand_back(wid, "crashed", {"signal": "SIGKILL"})
    return job.id


async def test_a_suspect_is_taken_by_an_empty_worker_and_runs_alone(queue: RedisQueue) -> None:
    busy = await Lane(queue, "busy").register()
    innocent = await queue.enqueue(NewJob("greet"))
    (running,) = await busy.claim(1)
    assert running.id == innocent.id
    suspect = await _crash_twice(queue)
    later = await queue.enqueue(NewJob("greet"))
    assert await busy.claim(5) == [], "it drains first"
    assert await busy.settle(running, "completed") == "ok"
    (alone,) = await busy.claim(5)
    assert alone.id == suspect, "alone, though another job is ready"
    assert await busy.claim(5) == []
    other = await Lane(queue, "other").register()
    assert [job.id for job in await other.claim(5)] == [later.id], "neighbours go on"
    assert await busy.settle(alone, "completed") == "ok"
    last = await queue.enqueue(NewJob("greet"))
    assert [job.id for job in await busy.claim(5)] == [last.id], "it was alone for that job only"


async def test_one_worker_at_a_time_drains_for_a_suspect(queue: RedisQueue) -> None:
    lanes = [await Lane(queue, f"w{at}").register() for at in range(2)]
    await queue.enqueue_many([NewJob("greet") for _ in range(2)])
    for lane in lanes:
        assert len(await lane.claim(1)) == 1
    await _crash_twice(queue)
    more = await queue.enqueue(NewJob("greet"))
    assert await lanes[0].claim(5) == []
    assert [job.id for job in await lanes[1].claim(5)] == [more.id]


async def test_what_a_claim_writes_to_the_millisecond(queue: RedisQueue, stopped: Stopped) -> None:
    await stopped.register()
    began = stopped.place()
    await stopped.enqueue("a", max_retries=9)
    await stopped.enqueue("b")
    stopped.later(7)
    version = await stopped.version()
    word, orders, due, jobs = await stopped.claim(token="tok", n=2)
    now = stopped.now_ms
    assert (word, orders, due) == ("ok", [], -1)
    assert [jobs[0:3], jobs[4:7]] == [["a", "1:tok", now], ["b", "1:tok", now]]
    assert jobs[3][jobs[3].index("max_retries") + 1] == "9"
    stored = await stopped.hash("job:a")
    assert (stored["status"], stored["worker"], stored["fence"]) == ("running", "w", "1:tok")
    assert (stored["started_at"], int(stored["sequence"])) == (str(now), began - 2 * 2**51)
    assert await stopped.scores("q:mail:running") == {"a": now, "b": now}
    assert await stopped.members("worker:w:claims") == {"a", "b"}
    assert await stopped.version() == version + 1
    waits = (await queue.read_stats()).waits["greet"]
    assert (waits.count, waits.sum_ms, waits.buckets[1]) == (2, 7 + 6, 2)
    assert sum(slot.wait[1] for slot in (await queue.read_series()).slots) == 2
    slot = await stopped.hash(f"stats:{now // 10_000}")
    assert {name for name in slot if name.startswith("wait|")} == {"wait|2"}, "no sum, and not by kind"


async def test_the_wait_until_the_next_due_job_is_told_exactly(stopped: Stopped) -> None:
    await stopped.register()
    assert (await stopped.claim(token="t0"))[2] == -1
    await stopped.enqueue("a", when="in", ms=900)
    await stopped.enqueue("b", "bulk", when="in", ms=700)
    await stopped.enqueue("c", "slow", when="in", ms=1_000)
    for at, queues in enumerate(
        (("mail", "bulk", "slow"), ("bulk", "slow", "mail"), ("slow", "mail", "bulk"))
    ):
        assert (await stopped.claim(*queues, token=f"t{at}"))[2] == 700
    assert (await stopped.claim("mail", token="t9"))[2] == 900
    assert (await stopped.claim("empty", "mail", "none", token="t11"))[2] == 900
    stopped.later(900.001)
    assert [job for job in (await stopped.claim("mail", token="t10"))[3] if job == "a"] == ["a"]


async def test_of_several_that_wait_on_after_a_promotion_the_first_is_told(stopped: Stopped) -> None:
    await stopped.register()
    for ms in (10, 300, 400):
        await stopped.enqueue(f"in-{ms}", when="in", ms=ms)
    stopped.later(10)
    _, _, due, jobs = await stopped.claim()
    assert (jobs[::4], due) == (["in-10"], 290)


async def test_the_bound_is_not_taken_for_a_queue(stopped: Stopped) -> None:
    await _suspect(stopped, "s", "200")
    await stopped.register()
    assert (await stopped.claim(token="t1"))[3] == []
    assert "suspect_worker" not in await stopped.hash("q:200:settings")
    await stopped.call("delete", "s", "", "")
    await stopped.enqueue("a", "200")
    await stopped.enqueue("b", "200", when="in", ms=10)
    assert (await stopped.claim(token="t2"))[2:] == [-1, []]
    stopped.later(10)
    assert (await stopped.claim(token="t3"))[3] == []
    assert list(await stopped.scores("q:200:scheduled")) == ["b"]


async def test_what_is_due_and_more_than_a_claim_promotes_is_due_at_once(stopped: Stopped) -> None:
    await stopped.register()
    for at in range(3):
        await stopped.enqueue(f"j{at}", when="in", ms=10 + at)
    stopped.later(500)
    assert (await stopped.claim(n=1, limit=2))[2] == 0
    assert await stopped.scores("q:mail:scheduled") == {"j2": stopped.now_ms - 500 + 12}


async def test_again_gives_the_jobs_of_that_claim_and_no_others(stopped: Stopped) -> None:
    await stopped.register()
    for at in range(4):
        await stopped.enqueue(f"j{at}")
    await stopped.claim(lane=0, token="one")
    await stopped.claim(lane=1, token="two", n=2)
    stopped.later(50)
    word, _, due, jobs = await stopped.claim(lane=1, token="two", n=2)
    assert (word, due, set(jobs[::4]), set(jobs[1::4])) == ("ok", 0, {"j1", "j2"}, {"1:two"})
    assert set(jobs[2::4]) == {stopped.now_ms} and "status" in jobs[3]
    assert (await stopped.claim(lane=0, token="two"))[3][0] == "j3", "another lane's token is a new claim"


async def test_a_claim_that_had_enough_leaves_the_mark_and_others_take_it_away(stopped: Stopped) -> None:
    await stopped.register()
    for at in range(3):
        await stopped.enqueue(f"j{at}")
    assert await stopped.woken()
    await stopped.claim(token="a", n=2)
    assert await stopped.woken()
    await stopped.claim(token="b", n=1)
    assert not await stopped.woken(), "nothing is left"


async def test_who_takes_what_fell_due_wakes_nobody(stopped: Stopped) -> None:
    await stopped.register()
    await stopped.enqueue("a", when="in", ms=10)
    await stopped.woken()
    stopped.later(10)
    assert (await stopped.claim(n=2))[3][::4] == ["a"]
    assert not await stopped.woken()


async def test_who_leaves_a_suspect_that_fell_due_wakes_the_one_that_is_to_take_it(stopped: Stopped) -> None:
    await _suspect(stopped, "s")
    for wid in ("v", "w"):
        await stopped.enqueue(f"of-{wid}", wid)
        await stopped.register(wid)
        await stopped.claim(wid, wid=wid, token=f"t-{wid}")
    assert (await stopped.claim(wid="v", token="t0"))[3] == []
    assert (await stopped.hash("q:mail:settings"))["suspect_worker"] == "v"
    await stopped.enqueue("a", when="in", ms=10)
    stopped.later(10)
    await stopped.woken()
    assert (await stopped.claim(token="t1", n=2))[3][::4] == ["a"]
    assert await stopped.woken()


async def test_without_a_free_slot_nothing_is_taken_and_what_is_due_wakes_others(stopped: Stopped) -> None:
    await stopped.register()
    await stopped.enqueue("a", when="in", ms=10)
    await stopped.woken()
    stopped.later(10)
    assert (await stopped.claim(n=0))[3] == []
    assert list(await stopped.scores("q:mail:queued")) == ["a"] and await stopped.woken()


async def _suspect(stopped: Stopped, job_id: str, queue: str = "mail") -> None:
    """A job that saw two crashes, in a queue that is empty otherwise."""
    await stopped.enqueue(job_id, queue)
    for at in range(2):
        wid = f"c{at}-{job_id}"
        await stopped.register(wid)
        assert (await stopped.claim(queue, wid=wid, token=f"t{at}-{job_id}"))[3][0] == job_id
        assert await stopped.call("hand_back", wid, "crashed", "") == 1


async def test_a_suspect_marks_its_worker_and_the_mark_goes(stopped: Stopped) -> None:
    await _suspect(stopped, "s")
    await stopped.enqueue("other")
    await stopped.register()
    assert (await stopped.claim(n=0, token="t0"))[3] == [], "without a free slot it takes none"
    assert "suspect_worker" not in await stopped.hash("q:mail:settings")
    jobs = (await stopped.claim(n=5, token="t1"))[3]
    assert jobs[::4] == ["s"] and jobs[1] == "3:t1"
    assert (await stopped.hash("worker:w"))["alone"] == "s"
    assert "suspect_worker" not in await stopped.hash("q:mail:settings")
    assert await stopped.settle("s", "completed", fence="3:t1") == "ok"
    assert "alone" not in await stopped.hash("worker:w")


async def test_who_waits_to_be_empty_is_marked_and_replaced_when_gone(stopped: Stopped) -> None:
    for wid in ("w", "v"):
        await stopped.register(wid)
        await stopped.enqueue(f"of-{wid}")
        await stopped.claim(wid=wid, token=f"t-{wid}")
    await _suspect(stopped, "s")
    await stopped.enqueue("other")
    assert (await stopped.claim(token="t1"))[3] == []
    assert (await stopped.hash("q:mail:settings"))["suspect_worker"] == "w"
    assert await stopped.call("hand_back", "w", "ended", "") == 1
    assert (await stopped.claim(wid="v", token="t2", n=5))[3] == [], "it holds a job: it waits in its place"
    assert (await stopped.hash("q:mail:settings"))["suspect_worker"] == "v"


async def test_a_paused_queue_keeps_its_suspects(stopped: Stopped) -> None:
    await _suspect(stopped, "s")
    await stopped.enqueue("b", "bulk")
    await stopped.register()
    await stopped.call("pause", "mail", "pause", "", "")
    assert (await stopped.claim("mail", "bulk", n=5))[3][::4] == ["b"]


async def test_while_it_holds_back_for_one_queue_it_takes_nothing_of_another(stopped: Stopped) -> None:
    await _suspect(stopped, "s")
    await _suspect(stopped, "s2", "bulk")
    await stopped.enqueue("b", "bulk")
    await stopped.register()
    assert (await stopped.claim("mail", "bulk", n=5))[3][::4] == ["s"]
    assert list(await stopped.scores("q:bulk:suspects")) == ["s2"]


async def test_who_is_held_back_leaves_the_mark_to_others(stopped: Stopped) -> None:
    await _suspect(stopped, "s")
    await _suspect(stopped, "s2", "bulk")
    await stopped.register()
    await stopped.woken("mail"), await stopped.woken("bulk")
    word, orders, _, jobs = await stopped.claim("mail", "bulk", n=5, token="t1")
    assert (word, orders, jobs[::4]) == ("ok", ["hold"], ["s"])
    assert not await stopped.woken("mail")
    assert await stopped.woken("bulk"), "another may take the second"
    await stopped.register("v")
    assert (await stopped.claim("bulk", wid="v", token="t2"))[3][::4] == ["s2"]
    assert not await stopped.woken("bulk")
    await stopped.enqueue("other")
    await stopped.woken("mail")
    assert (await stopped.claim("bulk", "mail", n=5, token="t3"))[1::2] == [["hold"], []]
    assert await stopped.woken("mail") and not await stopped.woken("bulk")
    assert await stopped.settle("s", "completed", fence="3:t1") == "ok"
    assert (await stopped.claim(token="t4"))[1] == []


async def test_a_ghost_among_the_suspects_is_dropped(stopped: Stopped) -> None:
    await stopped.put("q:mail:suspects", "ZADD", 1, "ghost")
    await stopped.register()
    assert (await stopped.claim())[3] == []
    assert await stopped.scores("q:mail:suspects") == {}
    assert "alone" not in await stopped.hash("worker:w")


async def test_a_claim_that_comes_after_a_later_one_takes_nothing(
    queue: RedisQueue, stopped: Stopped
) -> None:
    await stopped.register()
    for at in range(4):
        await stopped.enqueue(f"j{at}")
    assert (await stopped.claim(token="10.a"))[3][0] == "j0"
    assert (await stopped.hash("worker:w"))["turn:0"] == "16"
    await stopped.put("worker:w:orders", "SADD", "quiet")
    before = await dump(queue)
    assert await stopped.claim(token="f.b") == ["late", ["quiet"], -1, []]
    assert await dump(queue) == before
    assert (await stopped.claim(token="10.a"))[3][0] == "j0", "the same one again"
    assert (await stopped.claim(token="10.c"))[3][0] == "j1", "another of the same turn"
    assert (await stopped.claim(token="f.d", lane=1))[3][0] == "j2", "another lane counts for itself"
    assert (await stopped.claim(token="11.e"))[3][0] == "j3"
    assert (await stopped.hash("worker:w"))["turn:0"] == "17"
    await stopped.enqueue("j4")
    assert (await stopped.claim(token="without-a-turn"))[3][0] == "j4", "it is never late"
    await stopped.put("worker:w:orders", "DEL")


async def test_a_claim_whose_answer_was_lost_is_given_its_jobs_also_after_a_later_one(
    stopped: Stopped,
) -> None:
    await stopped.register()
    for at in range(4):
        await stopped.enqueue(f"j{at}")
    first = (await stopped.claim(n=2, token="1.a"))[3]
    assert (await stopped.claim(token="2.b"))[3][0] == "j2"
    word, _, due_ms, again = await stopped.claim(n=2, token="1.a")
    assert (word, due_ms) == ("late", -1)
    assert sorted(again[::4]) == sorted(first[::4]) == ["j0", "j1"]
    assert sorted(again[1::4]) == sorted(first[1::4])


async def test_a_ghost_among_the_claims_is_not_given_again(stopped: Stopped) -> None:
    await stopped.register()
    await stopped.enqueue("a")
    await stopped.claim(token="t1")
    await stopped.put("worker:w:claims", "SADD", "ghost")
    assert (await stopped.claim(token="t1"))[3][::4] == ["a"]
    await stopped.put("worker:w:claims", "SREM", "ghost")


async def test_values_that_are_named_as_fields_are_no_fields(queue: RedisQueue, stopped: Stopped) -> None:
    await stopped.register()
    await stopped.call("enqueue", 1, "a", "mail", "kind", 2, "now", 0, 2, "tags", "progress")
    await stopped.claim()
    assert set((await queue.read_stats()).waits) == {"kind"}


async def test_a_fence_that_cannot_be_read_counts_as_none(stopped: Stopped) -> None:
    await stopped.register()
    await stopped.enqueue("a")
    await stopped.put("job:a", "HSET", "fence", "damaged")
    assert (await stopped.claim())[3][1] == "1:t"
