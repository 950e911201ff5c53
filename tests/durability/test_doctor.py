"""`ironforge doctor` names the class, and what is missing to the one that was asked for."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.durability.servers import Pair, Server, pair, server
from tests.system.processes import environment, ironforge


def _checks(redis: Server, asked: str) -> dict[str, dict[str, Any]]:
    env = environment(redis.url, "doctor", IRONFORGE_DURABILITY=asked)
    done = subprocess.run(ironforge("doctor", "--json"), env=env, capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout)
    assert (done.returncode == 0) == report["well"]
    return {check["name"]: check for check in report["checks"]}


def test_the_class_with_the_settings_it_follows_from() -> None:
    with server("--appendonly", "yes") as redis:
        found = _checks(redis, "local")["durability"]
        assert found["well"] and found["detail"] == "everysec (appendonly yes, appendfsync everysec)"
        found = _checks(redis, "always")["durability"]
        assert not found["well"] and "CONFIG SET appendonly yes appendfsync always" in found["advice"]
        redis.config_set(appendfsync="no")
        found = _checks(redis, "local")["durability"]
        assert not found["well"] and found["detail"] == "none (appendonly yes, appendfsync no)"
        assert "a crash of its machine loses jobs" in found["advice"]


def test_a_replica_that_is_missing_and_one_that_is_asked() -> None:
    with pair() as both:
        _with_and_without(both)


def _with_and_without(both: Pair) -> None:
    both.primary.config_set(appendonly="yes")
    checks = _checks(both.primary, "replicated")
    assert (
        checks["durability"]["detail"].startswith("replicated (")
        and "1 replica" in checks["durability"]["detail"]
    )
    assert all(check["well"] for check in checks.values())
    both.leave()
    checks = _checks(both.primary, "replicated")
    assert not checks["replicas"]["well"] and "REPLICAOF" in checks["replicas"]["advice"]
    both.follow()
    with both.replica.client() as replica:
        replica.config_set("replica-read-only", "yes")
    found = _checks(both.replica, "local")["replica"]
    assert not found["well"] and "point REDIS_URL at the primary" in found["advice"]
