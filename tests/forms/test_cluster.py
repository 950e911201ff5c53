"""A Redis Cluster of three masters, each with a replica: slots that move, masters that die, jobs that go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random, randrange

import pytest
from redis.crc import key_slot

from ironforge.embedded import find_server
from ironforge.errors import StartupError, StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue.acl import acl_line
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.producing import BATCH
from tests.forms.failovers import Record, move_and_kill
from tests.forms.nodes import Cluster
from tests.forms.trial import Trial
from tests.queue.state import Lane, check_books


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    rig = Cluster(tmp_path_factory.mktemp("cluster"), str(find_server()[0]))
    try:
        yield rig.start()
    finally:
        rig.stop()


async def test_slots_are_spread_and_every_script_stays_in_its_own(cluster: Cluster, namespace: str) -> None:
    # Before any test has moved a slot.
    async with RedisQueue(cluster.url, namespace, shards=6) as queue:
        await queue.enqueue_many([NewJob("greet", queue=f"q{at}") for at in range(60)])
        slots = [key_slot(shard.keys.prefix.encode()) for shard in queue.shards]
        owners = [cluster.owner(slot).port for slot in slots]
        assert sorted(map(owners.count, set(owners))) == [2, 2, 2]
        assert sum(one.queued for one in await queue.read_queues()) == 60


async def test_while_a_slot_moves_its_scripts_wait_and_nothing_is_torn(
    cluster: Cluster, namespace: str
) -> None:
    """Half of the keys are on the other node: a script there would see half of the books, and make keys that bar the rest."""
    async with RedisQueue(cluster.url, namespace) as queue:
        lane = await Lane(queue).register()
        stored = await queue.enqueue_many([NewJob("greet") for _ in range(20)])
        claimed = await lane.claim(5)
        slot = key_slot(queue.keys.prefix.encode())
        other = next(node for node in cluster.masters() if node is not cluster.owner(slot))
        move = cluster.moving(slot, other, step=3)
        moved = 0
        for keys in move:
            moved += keys
            for attempt in (
                queue.enqueue(NewJob("greet")),
                lane.claim(1),
                lane.settle(claimed[0], "completed"),
            ):
                with pytest.raises(StoreUnavailable, match="moving"):
                    await attempt
            assert (await queue.get(stored[7].id)).kind == "greet"  # one key is found wherever it is
        assert moved > 25
        assert await lane.settle(claimed[0], "completed") == "ok"
        assert len(await lane.claim(30)) == 15
        await check_books(queue)


async def test_whoever_knew_the_old_place_is_led_to_the_new_one_at_once(
    cluster: Cluster, namespace: str
) -> None:
    async with RedisQueue(cluster.url, namespace) as reader, RedisQueue(cluster.url, namespace) as writer:
        job = await reader.enqueue(NewJob("greet"))
        await writer.read_queues()
        slot = key_slot(reader.keys.prefix.encode())
        cluster.move_slot(slot, next(node for node in cluster.masters() if node is not cluster.owner(slot)))
        # A single command; a pipeline of two calls, which loads their script first.
        assert (await reader.get(job.id)).kind == "greet"
        assert len(await writer.enqueue_many([NewJob("greet") for _ in range(BATCH + 1)])) == BATCH + 1
        assert (await reader.read_queue("default")).queued == BATCH + 2


async def test_the_least_privilege_user_lives_in_a_cluster(cluster: Cluster, namespace: str) -> None:
    for node in cluster.nodes:
        node.ask(*acl_line(namespace).replace("PASSWORD", "s3cret").split())
        node.ask("ACL", "LOG", "RESET")
    url = cluster.url.replace("://", "://ironforge:s3cret@")
    async with RedisQueue(url, namespace, shards=3) as queue:
        names = [f"q{at}" for at in range(6)]
        lane = await Lane(queue, queues=tuple(names)).register()
        await queue.enqueue_many([NewJob("greet", queue=name) for name in names])
        assert await queue.wait_for_wake(names, 5) in names
        jobs = await lane.claim(6)
        assert [await lane.settle(job, "completed") for job in jobs] == ["ok"] * 6
        slot = key_slot(queue.shards[0].keys.prefix.encode())
        other = next(node for node in cluster.masters() if node is not cluster.owner(slot))
        for _ in cluster.moving(slot, other, step=3):
            await queue.get_many([job.id for job in jobs])
        assert (await audit(queue)).findings == []
    refused = [entry for node in cluster.nodes for entry in node.ask("ACL", "LOG")]
    assert all("config|get" in str(entry) for entry in refused), refused


async def test_one_node_that_evicts_keys_is_refused(cluster: Cluster, namespace: str) -> None:
    async with RedisQueue(cluster.url, namespace, shards=3) as queue:
        slots = [key_slot(shard.keys.prefix.encode()) for shard in queue.shards]
    for slot in slots:
        node = cluster.owner(slot)
        node.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        queue = RedisQueue(cluster.url, namespace)
        try:
            with pytest.raises(StartupError, match="evicts keys"):
                await queue.open()
        finally:
            await queue.close()
            node.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_slot_moves_and_a_master_dies_under_load(cluster: Cluster, tmp_path: Path) -> None:
    seed = randrange(1_000_000)
    print("seed", seed)
    rng = Random(seed)
    record = Record()
    trial = Trial(cluster.url, tmp_path, rng, shards=3, groups=1)
    slots = [key_slot(f"trial:{{{tag}}}:".encode()) for tag in trial.tags]
    outcome = await trial.during(move_and_kill(cluster, slots, 2, rng, record))
    assert record.keys_moved > 10 and len(record.kills) == 1
    assert (outcome.live, outcome.findings, outcome.worker_errors, outcome.crossings) == (0, [], [], 0)
    assert outcome.not_completed == 0 and len(outcome.jobs) > 50
    # Replication is asynchronous: what the dead master had confirmed in its last moments may be gone.
    assert outcome.lost == outcome.lost_in(record.kills)
