"""The least-privilege user: the line that makes it, that it is enough, and that it is the least."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from ironforge.cli import main as cli
from ironforge.embedded import find_server
from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue import acl
from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from ironforge.queue.durability import concerns
from tests.forms.nodes import Node
from tests.needs import needs
from tests.system.processes import ROOT, await_port, environment, free_port, ironforge, running
from tests.waiting import eventually

QUEUE = Path(acl.__file__).parent
# redis-py's methods that the package calls on a client, and what each sends.
METHODS = {"info": "info", "unlink": "unlink", "scan_iter": "scan", "zscan_iter": "zscan"}
CONTAINERS = ("script", "cluster", "config")
NOT_COMMANDS = {
    "aclose", "ask", "at", "close", "disconnect", "exchange", "execute_command", "pipeline", "slot_of", "stream",
}  # fmt: skip


def _sent(path: Path) -> set[str]:
    """The commands that a module sends: words in capitals that it passes on, and methods that it calls on a client."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        words = [one.value if isinstance(one, ast.Constant) else None for one in node.args]
        if name in METHODS:
            found.add(METHODS[name])
        elif capitals := [at for at in range(len(words[:2])) if re.fullmatch("[A-Z]{2,}", str(words[at]))]:
            found.add(_command([str(word) for word in words[capitals[0] :]]))
        elif name == "pipeline" and any(
            one.arg == "transaction" and getattr(one.value, "value", None) is True for one in node.keywords
        ):
            found |= {"multi", "exec"}
        elif isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value).endswith("client"):
            assert name in NOT_COMMANDS, (
                f"{path.name}: client.{name}() sends a command that {__name__} does not know"
            )
    return found


def _command(words: list[str]) -> str:
    first = words[0].lower()
    return f"{first}|{words[1].lower()}" if first in CONTAINERS else first


def test_no_command_of_the_sources_is_missing_and_none_is_too_many() -> None:
    # SELECT is the connection's own.
    sent = {"select"}.union(*(_sent(path) for path in QUEUE.glob("*.py") if path.name != "sentinel.py"))
    # Only a server of our own is told how to keep its data, and Sentinels alone are sent a PING.
    assert sent - {"config|set", "ping"} == {*acl.SENT, *acl.WISHED}


def test_the_scripts_are_read_as_a_server_reads_them(node: Node) -> None:
    for command in (*acl.script_commands(), *acl.SENT, *acl.WISHED):
        node.ask("ACL", "SETUSER", "probe", f"+{command}")  # refused for a word that is no command
    assert {"hset", "zadd", "zpopmin", "time"} <= acl.script_commands()


def test_doctor_prints_the_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRONFORGE_NAMESPACE", "shop")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")  # it is not asked
    assert cli.main(["doctor", "--acl"]) == 0
    assert capsys.readouterr().out == acl.acl_line("shop") + "\n"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    found = Node(tmp_path, str(find_server()[0])).start()
    yield found
    found.stop()


@pytest.fixture
def user_url(node: Node) -> str:
    node.ask(*acl.acl_line("t").replace("PASSWORD", "s3cret").split())
    return f"redis://ironforge:s3cret@127.0.0.1:{node.port}"


def test_it_is_the_least(node: Node, user_url: str) -> None:
    node.ask("SET", "other", "1")
    client = redis.Redis.from_url(user_url, protocol=3)
    with contextlib.closing(client):
        refused: list[tuple[Any, ...]] = [
            ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "maxmemory", "1"),
            ("SHUTDOWN",), ("ACL", "LIST"), ("SCRIPT", "FLUSH"), ("CLIENT", "LIST"),
            ("MONITOR",), ("REPLICAOF", "NO", "ONE"), ("MODULE", "LIST"), ("CLUSTER", "NODES"),
            ("SET", "other", "2"), ("HGETALL", "other"), ("UNLINK", "other"), ("SET", "t2:x", "1"),
            ("EVAL", "return redis.call('GET', KEYS[1])", 1, "other"),
            ("EVAL", "return redis.call('GET', 'other')", 1, "t:x"),
            ("EVAL", "return redis.call('FLUSHALL')", 1, "t:x"),
            ("EVAL", "return redis.call('KEYS', '*')", 1, "t:x"),
        ]  # fmt: skip
        for command in refused:
            with pytest.raises(redis.ResponseError, match=r"(?i)permission|can't run this command|NOPERM"):
                client.execute_command(*command)
    assert node.ask("GET", "other") == "1"


async def test_a_missing_right_is_one_plain_sentence(node: Node, user_url: str) -> None:
    node.ask("ACL", "SETUSER", "ironforge", "-zadd")
    async with RedisQueue(user_url, "t") as queue:
        with pytest.raises(StoreUnavailable, match="doctor --acl"):
            await queue.enqueue(NewJob("greet"))
    node.ask("ACL", "SETUSER", "ironforge", "-evalsha")
    async with RedisQueue(user_url, "t") as queue:
        with pytest.raises(StoreUnavailable, match="doctor --acl"):
            await asyncio.wait_for(queue.read_queues(), 5)


async def test_a_redis_that_refuses_info_is_used_and_said_to_be_unknown(
    node: Node, user_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    node.ask("ACL", "SETUSER", "ironforge", "-info")
    async with RedisQueue(user_url, "t") as queue:
        assert "INFO is refused" in caplog.text
        job = await queue.enqueue(NewJob("greet"))
        assert (await queue.get(job.id)).kind == "greet"
        health = await queue.health()
        assert health.durability == "unknown"
        assert [one.severity for one in concerns(health, health.clock_ms)] == ["warn"]


@pytest.mark.parametrize("binary", ["embedded", pytest.param("redis-server", marks=needs("redis-server"))])
async def test_server_and_worker_live_under_it(binary: str, tmp_path: Path) -> None:
    """Jobs of every end, the console's readings, the doctor with its repairs: and the server counts no refusal."""
    found = str(find_server()[0]) if binary == "embedded" else "redis-server"
    node = Node(tmp_path, found).start()
    try:
        node.ask(*acl.acl_line("t").replace("PASSWORD", "s3cret").split())
        await _live(f"redis://ironforge:s3cret@127.0.0.1:{node.port}", tmp_path)
        denied = [one for one in node.ask("ACL", "LOG") if _field(one, "object") != "config|get"]
        assert denied == [], denied
    finally:
        node.stop()


async def _live(url: str, folder: Path) -> None:
    port = free_port()
    env = environment(url, "t", LEDGER=str(folder / "ledger"), BIND_ADDR=f"127.0.0.1:{port}")
    worker = ironforge("worker", "tests.system.tasks_forge:forge", "--concurrency", "4")
    log = folder / "log"
    with running(worker, env, log), running(ironforge("server"), env, log):
        await_port(port)
        async with (
            RedisQueue(url, "t") as queue,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        ):
            for kind in ("quick", "never", "flaky"):
                answer = await http.post("/jobs", json={"kind": kind, "payload": {}})
                assert answer.status_code == 201, answer.text
            delayed = {"kind": "quick", "payload": {}, "delay_s": 0.2}
            assert (
                await http.post("/jobs", json=delayed, headers={"Idempotency-Key": "k"})
            ).status_code == 201
            await eventually(lambda: _count(queue, "completed", 2), 20, "both are completed")
            await eventually(lambda: _count(queue, "dead", 1), 20, "one is dead")
            paths = (
                "/health",
                "/queues",
                "/queues/stats",
                "/workers",
                "/tasks",
                "/jobs",
                "/metrics",
                "/dlq/groups",
            )
            for path in paths:
                assert (await http.get(path)).status_code == 200, path
            dead = (await http.get("/jobs", params={"status": "dead"})).json()["jobs"][0]
            assert (await http.post(f"/jobs/{dead['id']}/retry")).status_code == 200
            await queue.trim()
            assert (await audit(queue)).findings == []
        for words in (("doctor",), ("doctor", "--repair", "--yes"), ("doctor", "--sample", "5")):
            doctor = await asyncio.create_subprocess_exec(
                *ironforge(*words), env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            report = (await doctor.communicate())[0].decode()
            assert "ok    books" in report and "lacks a right" not in report, report


async def _count(queue: RedisQueue, status: str, least: int) -> bool:
    return getattr(await queue.read_queue("default"), status) >= least


def _field(entry: Any, name: str) -> str:
    fields = entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=True))
    return str(fields[name])


def test_the_documents_show_the_line() -> None:
    text = (ROOT / "docs" / "redis.md").read_text(encoding="utf-8")
    assert f"\n{acl.acl_line('ironforge')}\n" in text
