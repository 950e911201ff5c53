"""Redis behind three Sentinels: whoever is the master is found, and found again, and what a failover lost is not stuck."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random, randrange

import pytest

from ironforge.embedded import find_server
from ironforge.errors import StoreUnavailable
from ironforge.job import Job, JobStatus, NewJob
from ironforge.periodic import patiently
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from tests.chaos.pacing import during
from tests.forms.nodes import Node, Watched
from tests.forms.trial import Trial
from tests.system.processes import await_text, environment, ironforge, running
from tests.waiting import eventually


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    rig = Watched(tmp_path_factory.mktemp("watched"), str(find_server()[0]))
    try:
        yield rig.start()
    finally:
        rig.stop()


async def test_jobs_that_a_failover_lost_the_end_of_are_run_again(
    watched: Watched, namespace: str, tmp_path: Path
) -> None:
    """The new master never heard that they ended: their worker, which lives, does not know them any more."""
    (tmp_path / "ledger").touch()
    env = environment(watched.url, namespace, LEDGER=str(tmp_path / "ledger"))
    async with RedisQueue(watched.url, namespace) as queue:
        with running(
            ironforge("worker", "tests.system.tasks_forge:forge", "--concurrency", "4"), env, tmp_path / "log"
        ):
            await_text(tmp_path / "log", "worker ready")
            ids = [(await queue.enqueue(NewJob("nap", b'{"mark": 1, "s": 1.0}'))).id for _ in range(4)]
            await eventually(lambda: _all(queue, ids, JobStatus.RUNNING), 10, "all run")
            master = watched.master()
            replicas = [node for node in watched.nodes if node is not master]
            await eventually(
                lambda: all(_offset(node) >= _offset(master) for node in replicas), 10, "they have it"
            )
            _signal(replicas, signal.SIGSTOP)
            master.ask("CLIENT", "KILL", "TYPE", "REPLICA")  # what it says from now on reaches nobody
            await eventually(lambda: _all(queue, ids, JobStatus.COMPLETED), 10, "all are completed")
            master.kill()
            _signal(replicas, signal.SIGCONT)
            watched.await_new_master(master)
            states = [job.status for job in await patiently(lambda: _jobs(queue, ids))]
            assert states == [JobStatus.RUNNING] * 4, "the new master never heard of it"
            await eventually(lambda: _all(queue, ids, JobStatus.COMPLETED), 20, "they ran again")
        assert (await audit(queue)).findings == []


async def _jobs(queue: RedisQueue, ids: list[str]) -> list[Job]:
    return [job for job in await queue.get_many(ids) if job]


async def _all(queue: RedisQueue, ids: list[str], status: JobStatus) -> bool:
    try:
        jobs = await _jobs(queue, ids)
    except StoreUnavailable:
        return False
    return len(jobs) == len(ids) and all(job.status is status for job in jobs)


def _offset(node: Node) -> int:
    role = node.ask("ROLE")
    return int(role[1] if role[0] == "master" else role[4])


def _signal(nodes: list[Node], number: signal.Signals) -> None:
    for node in nodes:
        assert node.process
        os.kill(node.process.pid, number)


async def test_the_sentinels_choose_another_master_under_load(watched: Watched, tmp_path: Path) -> None:
    """Everything that is left ends, and the books are consistent. What is not: see ./forge chaos failover."""
    seed = randrange(1_000_000)
    print("seed", seed)
    asked: list[float] = []

    async def fail_over() -> None:
        await during(0.5)
        old = watched.master()
        asked.append(time.time())
        await asyncio.to_thread(watched.fail_over)
        # The Sentinels would do so too, after ten seconds: from now on it says READONLY.
        await asyncio.to_thread(old.ask, "REPLICAOF", "127.0.0.1", watched.master().port)
        asked.append(time.time())
        await during(3)

    outcome = await Trial(watched.url, tmp_path, Random(seed), groups=1).during(fail_over())
    assert (outcome.live, outcome.findings, outcome.worker_errors) == (0, [], [])
    assert outcome.not_completed == 0 and len(outcome.jobs) > 50
    assert outcome.first_completion_s(asked[1]) < 15
    assert max(outcome.acknowledged.values()) > asked[1] + 1, "the new master is found"
    # Replication is asynchronous: what was confirmed in the last moments of a master may be gone.
    assert outcome.lost <= sum(asked[0] - 1 <= at <= asked[1] + 1 for at in outcome.acknowledged.values())


async def test_no_sentinel_and_an_unknown_service_are_told(watched: Watched) -> None:
    unknown = watched.url.replace("/forge", "/other")
    for url, words in (
        (unknown, "do not know that service"),
        ("redis+sentinel://127.0.0.1:1/forge", "none of the Sentinels"),
    ):
        queue = RedisQueue(url, "t")
        with pytest.raises(StoreUnavailable, match=words):
            await queue.open()
        await queue.close()


async def test_one_sentinel_of_three_is_enough_to_be_named(watched: Watched) -> None:
    port = watched.sentinels[2].port
    async with RedisQueue(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port},127.0.0.1:2/forge", "t") as queue:
        await queue.enqueue(NewJob("greet"))


@pytest.mark.parametrize("own", ["", "?sentinel_password=other"])
async def test_passwords_of_the_master_and_of_the_sentinel(own: str, tmp_path: Path) -> None:
    """Without one of its own, a Sentinel that asks for one is given that of Redis."""
    binary = str(find_server()[0])
    asked = "other" if own else "s3cret"
    master = Node(tmp_path, binary, ["requirepass s3cret"], client_options={"password": "s3cret"})
    lines = [
        f"requirepass {asked}",
        f"sentinel monitor forge 127.0.0.1 {master.port} 1",
        "sentinel auth-pass forge s3cret",
    ]
    sentinel = Node(tmp_path, binary, lines, client_options={"password": asked}, sentinel=True)
    try:
        master.start()
        sentinel.start()
        async with RedisQueue(f"redis+sentinel://:s3cret@127.0.0.1:{sentinel.port}/forge{own}", "t") as queue:
            assert (await queue.get((await queue.enqueue(NewJob("greet"))).id)).kind == "greet"
        wrong = RedisQueue(f"redis+sentinel://:wrong@127.0.0.1:{sentinel.port}/forge{own}", "t")
        with pytest.raises(
            StoreUnavailable, match="user or password" if own else "Sentinels refuse"
        ) as refused:
            await wrong.open()
        await wrong.close()
        assert "wrong" not in str(refused.value)
    finally:
        master.stop()
        sentinel.stop()
