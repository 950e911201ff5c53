"""A namespace on several servers is as safe as the worst of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge.errors import NotConfirmed, StartupError
from ironforge.forge import Forge
from ironforge.job import NewJob
from ironforge.queue.backend import RedisQueue
from tests.durability.servers import EMBEDDED
from tests.forms.nodes import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three masters, a replica each."""
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        started = Cluster(Path(folder), EMBEDDED)
        try:
            yield started.start()
        finally:
            started.stop()


async def test_one_master_that_evicts_or_keeps_nothing_counts(cluster: Cluster, namespace: str) -> None:
    async with RedisQueue(cluster.url, namespace, shards=6) as queue:
        for node in cluster.nodes:
            node.ask("CONFIG", "SET", "appendonly", "yes", "appendfsync", "always")
        found = await queue.health()
        assert (found.durability, found.policy, found.replicas) == ("always", "noeviction", 1)
        async with Forge(cluster.url, namespace=namespace, durability="always"):
            pass
        for master in cluster.nodes[:3]:
            master.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "appendfsync", "everysec")
            found = await queue.health()
            assert (found.durability, found.policy) == ("everysec", "allkeys-lru")
            with pytest.raises(StartupError, match="allkeys-lru"):
                await Forge(cluster.url, namespace=namespace).connect()
            master.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
            with pytest.raises(StartupError, match="appendfsync everysec"):
                await Forge(cluster.url, namespace=namespace, durability="always").connect()
            master.ask("CONFIG", "SET", "appendfsync", "always")


async def test_each_shard_waits_for_its_own_replica(cluster: Cluster, namespace: str) -> None:
    async with RedisQueue(cluster.url, namespace, shards=6, durability="replicated") as queue:
        names = [f"q{at}" for at in range(30)]
        jobs = await queue.enqueue_many([NewJob("greet", queue=name) for name in names])
        assert len({(await queue.of_job(job.id)).keys.prefix for job in jobs}) == 6
        for replica in cluster.nodes[3:]:
            replica.kill()
        with pytest.raises(NotConfirmed) as unsure:
            await queue.enqueue_many([NewJob("greet", queue=name) for name in names])
        assert unsure.value.job_ids
