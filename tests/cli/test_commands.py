"""The commands as processes, against a real server and a real worker."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.processes import await_port, await_text, environment, free_port, ironforge, running

NAMESPACE = "clitests"


@pytest.fixture(scope="module")
def env(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("cli")
    port = free_port()
    env = environment(redis_url, NAMESPACE, BIND_ADDR=f"127.0.0.1:{port}")
    with (
        running(ironforge("server"), env, folder / "server.log"),
        running(ironforge("worker", "--queues", "default"), env, folder / "worker.log"),
    ):
        await_port(port)
        await_text(folder / "worker.log", "worker ready")
        yield env


def _run(
    env: dict[str, str], *words: str, stdin: str = "", code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(ironforge(*words), env=env, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def _json(env: dict[str, str], *words: str) -> object:
    return json.loads(_run(env, *words, "--json").stdout)


def test_submit_prints_the_id_and_values_keep_their_types(env: dict[str, str]) -> None:
    words = ("n=1", "t=true", "text=hello world", 'list=[1, "2"]', "big=123456789012345678901234567890")
    job_id = _run(
        env, "submit", "later.kind", *words, "--delay", "3600", "--tag", "a", "--priority", "high"
    ).stdout.strip()
    job = _json(env, "jobs", "show", job_id)
    assert isinstance(job, dict)
    assert job["payload"] == {
        "n": 1, "t": True, "text": "hello world", "list": [1, "2"], "big": 123456789012345678901234567890,
    }  # fmt: skip
    assert (job["status"], job["priority"], job["tags"]) == ("scheduled", "high", ["a"])


def test_submit_and_wait_tells_how_it_ended(env: dict[str, str]) -> None:
    assert _run(env, "submit", "cache.warm", "key=a", "--wait").stdout.strip().endswith(" completed")
    gone = ("submit", "webhook.deliver", "url=https://gone", "event=e", "--wait")
    assert _run(env, *gone, code=1).stdout.strip().endswith(" dead")


def test_payload_from_a_file_and_from_standard_input(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"a": 1}')
    for given, stdin in ((f"@{tmp_path / 'p.json'}", ""), ("-", '{"a": 1}'), ('{"a": 1}', "")):
        job_id = _run(
            env, "submit", "later.kind", "--payload", given, "--delay", "3600", stdin=stdin
        ).stdout.strip()
        shown = _json(env, "jobs", "show", job_id)
        assert isinstance(shown, dict) and shown["payload"] == {"a": 1}


def test_lines_of_standard_input_are_submitted_and_bad_ones_named(env: dict[str, str]) -> None:
    lines = '{"kind": "cache.warm", "payload": {"key": "a"}}\nnot json\n{"kind": "Bad Kind"}\n\n{"kind": "cache.warm", "payload": {"key": "b"}}\n'
    done = _run(env, "submit", "--stdin", stdin=lines, code=1)
    assert len(done.stdout.split()) == 2
    assert (
        "line 2: not JSON" in done.stderr
        and "line 3: /kind" in done.stderr
        and "2 accepted, 2 refused" in done.stderr
    )


def test_the_same_request_under_a_key_is_the_same_job(env: dict[str, str]) -> None:
    words = ("submit", "later.kind", "--delay", "3600", "--idempotency-key", "k1")
    assert _run(env, *words).stdout == _run(env, *words).stdout
    assert "different request" in _run(env, *words, "n=2", code=1).stderr


def test_dead_jobs_by_error_back_to_their_queue_and_removed(env: dict[str, str]) -> None:
    job_id = _run(
        env, "submit", "webhook.deliver", "url=https://gone/dlq", "event=e", "--wait", code=1
    ).stdout.split()[0]
    groups = _json(env, "dlq", "groups")
    assert isinstance(groups, dict)
    group = next(group for group in groups["groups"] if group["error_type"] == "Discard")
    assert job_id in _run(env, "dlq", "list", "--group", group["fingerprint"]).stdout
    assert "queued" in _run(env, "dlq", "retry", job_id).stdout
    assert (
        "only dead and cancelled"
        in _run(env, "jobs", "retry", _run(env, "submit", "x", "--delay", "99").stdout.strip(), code=1).stderr
    )


def test_run_cancel_and_delete(env: dict[str, str]) -> None:
    job_id = _run(env, "submit", "nobody.knows", "--delay", "3600", "--queue", "unserved").stdout.strip()
    assert "queued" in _run(env, "jobs", "run", job_id).stdout
    assert "cancelled" in _run(env, "jobs", "cancel", job_id).stdout
    assert "deleted" in _run(env, "jobs", "delete", job_id).stdout
    assert "there is no job" in _run(env, "jobs", "show", job_id, code=1).stderr


def test_queues_are_listed_paused_and_resumed(env: dict[str, str]) -> None:
    _run(env, "submit", "x", "--queue", "mail")
    assert "paused" in _run(env, "queues", "pause", "mail").stdout
    assert "paused" in _run(env, "queues", "list").stdout
    assert "resumed" in _run(env, "queues", "resume", "mail").stdout
    assert "queue_depth" in _run(env, "queues", "stats").stdout
    assert "there is no queue" in _run(env, "queues", "pause", "nowhere", code=1).stderr


def test_workers_and_their_kinds(env: dict[str, str]) -> None:
    workers = _json(env, "workers", "list")
    assert isinstance(workers, dict) and len(workers["workers"]) == 1
    assert "email.send" in _run(env, "workers", "tasks").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("submit",), 2, "name a KIND"),
        (("submit", "x", "novalue"), 2, "is not key=value"),
        (("submit", "x", "--payload", "{"), 2, "not JSON"),
        (("submit", "Bad Kind"), 1, "kind"),
        (("submit", "x", "--max-retries", "101"), 1, "max_retries: "),
        (("jobs", "show", "nope"), 1, "there is no job"),
        (("dlq", "retry"), 2, "by ID, or a --group"),
        (("worker", "no.such.module:forge"), 2, "there is no module"),
        (("worker", "json:forge"), 2, "nothing called 'forge'"),
        (("worker", "noforge"), 2, "is not MODULE:FORGE"),
        (("worker", "--queues", "BAD"), 2, "cannot be a queue"),
        (("bench", "--jobs", "1"), 2, "at least 100"),
        (("frobnicate",), 2, "invalid choice"),
    ],
)
def test_mistakes_get_one_sentence_and_the_right_code(
    env: dict[str, str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in _run(env, *words, code=code).stderr


def test_no_server_and_no_redis_are_code_3(env: dict[str, str]) -> None:
    away = {**env, "IRONFORGE_URL": "http://127.0.0.1:9", "REDIS_URL": "redis://127.0.0.1:9"}
    assert "Start one with 'ironforge server'" in _run(away, "queues", "list", code=3).stderr
    assert "REDIS_URL" in _run(away, "doctor", code=3).stderr


@pytest.mark.parametrize(
    "command",
    ["console", "server", "worker", "submit", "jobs", "dlq", "queues", "workers", "doctor", "bench"],
)
def test_every_command_has_help(env: dict[str, str], command: str) -> None:
    assert command in _run(env, command, "--help").stdout


def test_bench_measures_and_leaves_nothing_behind(redis_url: str) -> None:
    import redis

    done = _run(environment(redis_url, "benchtest"), "bench", "--jobs", "500", "--json")
    results = json.loads(done.stdout)
    assert (
        results["priority_order"] and results["drain_per_s"] > 0 and results["raw_pipelined_evals_per_s"] > 0
    )
    client = redis.Redis.from_url(redis_url, protocol=3, legacy_responses=False)
    assert list(client.scan_iter("bench-*")) == []
    client.close()
