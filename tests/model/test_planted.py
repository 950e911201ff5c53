"""For each invariant a violation is planted, in the state or in a script, and this one is named, and no other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import ironforge.queue
from tests.model.invariants import INVARIANTS
from tests.model.machine import START_US, Failure, Machine
from tests.model.mirror import PREFIX
from tests.model.scene import Scene, job_id
from tests.model.step import Call
from tests.model.wire import Wire

LUA = Path(ironforge.queue.__file__).parent / "lua"
NOTHING = Call("clock", (0,))
Write = Callable[..., Any]


class InState(NamedTuple):
    """Keys are written behind the scripts' back, after a scene."""

    number: int
    scene: Callable[[Scene], None]
    write: Callable[[Write], None]


class InScript(NamedTuple):
    """A script has a mistake; the last call of the scene shows it."""

    number: int
    file: str
    right: str
    wrong: str
    scene: Callable[[Scene], None]


def _one_queued(scene: Scene) -> None:
    scene.enqueue(1)


def _one_running_twice_claimed(scene: Scene) -> None:
    scene.enqueue(1)
    scene.register("w1")
    scene.register("w2")
    token = scene.claim("w1")
    scene.settle(1, f"1:{token}", "released")
    scene.claim("w1")


def _one_completed(scene: Scene) -> None:
    scene.enqueue(1)
    scene.register("w1")
    scene.settle(1, f"1:{scene.claim('w1')}", "completed")


def _wrong_index(write: Write) -> None:
    write("ZREM", "q:default:queued", job_id(1))
    write("ZADD", "q:default:dead", 1, job_id(1))
    write("HINCRBY", "q:default:settings", "changes", 1)


def _ghost(write: Write) -> None:
    write("ZADD", "q:default:dead", 1, job_id(9))
    write("HINCRBY", "q:default:settings", "changes", 1)


def _gone(write: Write) -> None:
    write("ZREM", "q:default:queued", job_id(1))
    write("DEL", "job:" + job_id(1))
    write("HINCRBY", "q:default:settings", "changes", 1)


def _foreign_key(write: Write) -> None:
    write("SADD", "q:default:other", "x")


def _progress_under_an_old_fence(scene: Scene) -> None:
    scene.enqueue(1)
    scene.register("w1")
    scene.claim("w1")
    scene.progress(1, "1:t999999")


def _an_outage(scene: Scene) -> None:
    scene.register("w1", 1)
    scene.wait_ms(60_000)
    scene.reap()


def _almost_due(scene: Scene) -> None:
    scene.enqueue(1, run_at_ms=START_US // 1000 + 1_000)
    scene.wait_ms(999)
    scene.promote()


def _confirmed(scene: Scene) -> None:
    scene.reserve("key", 1)
    scene.confirm("key", 1)


def _another_confirmed(scene: Scene) -> None:
    scene.reserve("key", 1)
    scene.confirm("key", 2)


def _run_early(scene: Scene) -> None:
    scene.enqueue(1, delay_ms=1_000)
    scene.run_now(1)


def _died_retried_completed(scene: Scene) -> None:
    scene.enqueue(1)
    scene.register("w1")
    scene.settle(1, f"1:{scene.claim('w1')}", "dead")
    scene.retry(1)
    scene.settle(1, f"2:{scene.claim('w1')}", "completed")


def _claimed_while_paused(scene: Scene) -> None:
    scene.enqueue(1)
    scene.register("w1")
    scene.pause("default")
    scene.claim("w1")


def _two_in_order(scene: Scene) -> None:
    scene.enqueue(1)
    scene.enqueue(2)
    scene.register("w1")
    scene.claim("w1")


def _suspect_and_another(scene: Scene) -> None:
    scene.enqueue(1)
    for wid in ("w1", "w2", "w3"):
        scene.register(wid)
        scene.claim(wid)
        if wid != "w3":
            scene.crash(wid)
    scene.enqueue(2)
    scene.claim("w3")


PLANTS: tuple[InState | InScript, ...] = (
    InState(1, _one_queued, _wrong_index),
    InState(2, _one_queued, _ghost),
    InState(3, _one_running_twice_claimed, lambda write: write("HSET", "job:" + job_id(1), "fence", "1:t000001")),
    InScript(
        4, "progress", "job[1] ~= 'running' or job[2] ~= ARGV[2]", "job[1] ~= 'running'", _progress_under_an_old_fence
    ),
    InState(5, _one_running_twice_claimed, lambda write: write("SADD", "worker:w2:claims", job_id(1))),
    InState(6, _one_completed, lambda write: write("SADD", "worker:w1:claims", job_id(1))),
    InScript(7, "reap", "if now_ms < tick_reaper(", "if 0 > tick_reaper(", _an_outage),
    InState(8, _one_queued, lambda write: write("HSET", "job:" + job_id(1), "retry_count", 4)),
    InState(9, _one_completed, lambda write: write("HSET", "job:" + job_id(1), "result", "2")),
    InScript(10, "_prelude", "math.floor(now_us / 1000)", "math.floor(now_us / 1000) + 1", _almost_due),
    InState(11, _one_queued, lambda write: write("HSET", "job:" + job_id(1), "payload", '{"a":2}')),
    InScript(12, "confirm", "redis.call('GET', record) == 'pending' .. stands_for", "true", _another_confirmed),
    InScript(13, "run", "return remember(key, hash, 'done')", "return status", _run_early),
    InScript(14, "retry", "redis.call('HINCRBY', job_key(id), 'generation', 1)", "", _died_retried_completed),
    InState(15, _one_queued, lambda write: write("HINCRBY", "stats", "submitted|k1|2", 1)),
    InState(16, _one_queued, _gone),
    InScript(18, "claim", "local is_empty = state.paused", "local is_empty = false", _claimed_while_paused),
    InState(19, _one_completed, lambda write: write("HINCRBY", "q:default:settings", "changes", 2)),
    InState(20, _one_queued, _foreign_key),
    InScript(21, "confirm", ", 'KEEPTTL')", ")", _confirmed),
    InScript(22, "claim", "redis.call('ZPOPMIN', index, n)", "redis.call('ZPOPMAX', index, n)", _two_in_order),
    InScript(23, "claim", "local held_back = known[2] --", "local held_back = nil --", _suspect_and_another),
)  # fmt: skip


def test_each_invariant_has_its_plant() -> None:
    assert sorted(plant.number for plant in PLANTS) == [one.number for one in INVARIANTS]
    assert [one.number for one in INVARIANTS] == [*range(1, 17), *range(18, 24)]  # 17 comes with cron


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    opened = Wire(url)
    yield opened
    opened.close()


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: str(plant.number))
def test_the_planted_violation_is_named(plant: InState | InScript, wire: Wire, tmp_path: Path) -> None:
    lua = tmp_path / "lua"
    shutil.copytree(LUA, lua)
    if isinstance(plant, InState):
        machine = Machine(wire)
        plant.scene(Scene(machine))
        plant.write(lambda command, name, *rest: wire.command(command, PREFIX + name.encode(), *rest))
        problems = machine.judge(NOTHING, None)
        assert {number for number, _ in problems} == {plant.number}, problems
        return
    plant.scene(Scene(Machine(wire)))  # without the mistake it is well
    path = lua / f"{plant.file}.lua"
    text = path.read_text()
    assert text.count(plant.right) == 1
    path.write_text(text.replace(plant.right, plant.wrong))
    with pytest.raises(Failure) as failed:
        plant.scene(Scene(Machine(wire, lua, compares=False)))
    assert failed.value.numbers == (plant.number,), failed.value
