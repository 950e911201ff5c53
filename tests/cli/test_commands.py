"""jobs, dlq, queues, workers, bench and the frame around all commands, against a real server and a real worker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import redis

from tests.cli.commands import document, run, run_process, submitted
from tests.system.processes import ROOT, environment, ironforge
from tests.waiting import wait_until

COMMANDS = ("console", "server", "worker", "submit", "jobs", "dlq", "queues", "workers", "doctor", "bench")


def _dead(env: dict[str, str], place: str) -> str:
    words = ("submit", "webhook.deliver", f"url=https://gone/{place}", "event=e", "--wait")
    return run(env, *words, code=1).stdout.split()[0]


def test_a_job_is_shown_whole_and_what_it_holds_cannot_move_the_cursor(env: dict[str, str]) -> None:
    job_id = submitted(env, "later.kind", "text=a\x1b[31m\u202e\x9bb", "--tag", "t1")
    for words in (("jobs", "show", job_id), ("jobs", "show", job_id, "--json"), ("jobs", "list", "--json")):
        shown = run(env, *words).stdout
        assert job_id in shown and "t1" in shown
        assert not set(shown) & {"\x1b", "\x9b", "\u202e"}
    assert document(env, "jobs", "show", job_id)["payload"] == {"text": "a\x1b[31m\u202e\x9bb"}


def test_a_dead_job_is_shown_with_its_attempts_and_where_it_failed(env: dict[str, str]) -> None:
    shown = run(env, "jobs", "show", _dead(env, "shown")).stdout
    assert "ATTEMPT" in shown and "Discard" in shown


def test_jobs_are_listed_by_filter_and_page_by_page(env: dict[str, str]) -> None:
    ids = {submitted(env, "paged.kind", f"n={at}", "--queue", "paged") for at in range(5)}
    found: set[str] = set()
    cursor: list[str] = []
    while True:
        words = ("jobs", "list", "--queue", "paged", "--status", "scheduled", "--limit", "2")
        page = document(env, *words, *cursor)
        found |= {job["id"] for job in page["jobs"]}
        if not page["next_cursor"]:
            break
        cursor = ["--cursor", page["next_cursor"]]
    assert found == ids
    assert "no such job" in run(env, "jobs", "list", "--queue", "paged", "--status", "dead").stdout


def test_run_cancel_and_delete(env: dict[str, str]) -> None:
    job_id = submitted(env, "nobody.knows", "--queue", "unserved")
    assert "queued" in run(env, "jobs", "run", job_id).stdout
    assert "cancelled" in run(env, "jobs", "cancel", job_id).stdout
    assert "queued again" in run(env, "jobs", "retry", job_id).stdout
    assert "deleted" in run(env, "jobs", "delete", job_id).stdout
    assert "there is no job" in run(env, "jobs", "show", job_id, code=1).stderr


def test_one_that_fails_does_not_keep_the_others_from_it(env: dict[str, str]) -> None:
    first, last = submitted(env, "x"), submitted(env, "x")
    ran = run(env, "jobs", "delete", first, "nope", last, code=1)
    assert first in ran.stdout and last in ran.stdout and "nope  not done: there is no job" in ran.stderr
    results = document(env, "jobs", "cancel", first, code=1)
    assert results[0]["id"] == first and "no job" in results[0]["error"]


def test_dead_jobs_by_error_back_to_their_queue(env: dict[str, str]) -> None:
    job_id = _dead(env, "retried")
    group = next(
        group for group in document(env, "dlq", "groups")["groups"] if group["error_type"] == "Discard"
    )
    assert job_id in run(env, "dlq", "list", "--group", group["fingerprint"]).stdout
    assert "queued again" in run(env, "dlq", "retry", job_id).stdout
    wait_until(lambda: document(env, "jobs", "show", job_id)["status"] == "dead", 10, "it died again")


def test_a_group_is_removed_whole_and_nothing_else(env: dict[str, str]) -> None:
    other = _dead(env, "other")
    ids = {_dead(env, "group") for _ in range(2)}
    groups = document(env, "dlq", "groups")["groups"]
    (fingerprint,) = (group["fingerprint"] for group in groups if group["sample_id"] in ids)
    removed = run(env, "dlq", "delete", "--group", fingerprint).stdout
    assert ids == set(removed.replace("deleted", "").split())
    assert document(env, "jobs", "show", other)["status"] == "dead"
    assert "no dead job is in group" in run(env, "dlq", "retry", "--group", fingerprint, code=1).stderr


def test_dlq_leaves_jobs_that_are_not_dead_alone(env: dict[str, str]) -> None:
    job_id = submitted(env, "x")
    for verb in ("delete", "retry"):
        assert "it is scheduled, not dead" in run(env, "dlq", verb, job_id, code=1).stderr
    assert document(env, "jobs", "show", job_id)["status"] == "scheduled"


def test_queues_are_listed_paused_and_resumed(env: dict[str, str]) -> None:
    submitted(env, "x", "--queue", "mail")
    assert "paused" in run(env, "queues", "pause", "mail").stdout
    assert "paused" in run(env, "queues", "list").stdout
    assert "resumed" in run(env, "queues", "resume", "mail").stdout
    assert "queue_depth" in run(env, "queues", "stats").stdout
    assert "there is no queue" in run(env, "queues", "pause", "nowhere", code=1).stderr


def test_workers_and_their_kinds(env: dict[str, str]) -> None:
    assert len(document(env, "workers", "list")["workers"]) == 1
    assert "email.send" in run(env, "workers", "tasks").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("jobs", "show", "nope"), 1, "there is no job"),
        (("jobs", "show", ".."), 2, "no id"),
        (("jobs", "show", ""), 2, "no id"),
        (("jobs", "delete", "../queues"), 1, "nothing at this path"),
        (("jobs", "show", "\udcff"), 2, "is not UTF-8"),
        (("jobs", "list", "--limit", "0"), 1, "limit"),
        (("jobs", "list", "--cursor", "x"), 1, "begin without it"),
        (("queues", "pause", "../x"), 1, "nothing"),
        (("dlq", "retry"), 2, "by ID, or a --group"),
        (("bench", "--jobs", "1"), 2, "at least 100"),
        (("frobnicate",), 2, "invalid choice"),
        ((), 2, "COMMAND"),
    ],
)
def test_mistakes_get_one_sentence_and_the_right_code(
    env: dict[str, str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in run(env, *words, code=code).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("worker", "no.such.module:forge"), "there is no module"),
        (("worker", "json:forge"), "nothing called 'forge'"),
        (("worker", "noforge"), "is not MODULE:FORGE"),
        (("worker", "--queues", "BAD"), "cannot be a queue"),
    ],
)
def test_a_worker_that_cannot_start_says_why(env: dict[str, str], words: tuple[str, ...], said: str) -> None:
    assert said in run_process(env, *words, code=2).stderr


@pytest.mark.parametrize(
    ("name", "value", "code", "said"),
    [
        ("IRONFORGE_URL", "http://127.0.0.1:9", 3, "Start one with 'ironforge server'"),
        ("IRONFORGE_URL", "http://[bad", 2, "is not a URL"),
        ("IRONFORGE_URL", "foo", 2, "is not a URL"),
        ("IRONFORGE_TOKEN", "é", 2, "IRONFORGE_TOKEN"),
    ],
)
def test_a_server_that_cannot_be_reached(
    env: dict[str, str], name: str, value: str, code: int, said: str
) -> None:
    assert said in run({**env, name: value}, "queues", "list", code=code).stderr


def test_redis_away_is_code_3(env: dict[str, str]) -> None:
    assert "REDIS_URL" in run({**env, "REDIS_URL": "redis://127.0.0.1:9"}, "doctor", code=3).stderr


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(env: dict[str, str]) -> None:
    assert "default" in run({**env, "http_proxy": "http://127.0.0.1:9"}, "queues", "list").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_a_version(env: dict[str, str], command: str) -> None:
    assert command in run(env, command, "--help").stdout
    assert run(env, command, "--version").stdout.startswith("ironforge ")


def test_help_loads_nothing_heavy() -> None:
    """What takes long to import is imported by the command that needs it: --help answers at once."""
    code = (
        "import sys; from ironforge.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'httpx', 'redis', 'fastapi', 'textual', 'pydantic', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done


def test_a_reader_that_has_gone_is_no_error(env: dict[str, str]) -> None:
    buffered = {name: value for name, value in env.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        ironforge("jobs", "list", "--json"), env=buffered, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stderr
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), said) == (0, b"")


@pytest.fixture
def keys(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url, protocol=3, legacy_responses=False)


def test_bench_measures_and_leaves_nothing_behind(redis_url: str, keys: redis.Redis) -> None:
    done = run_process(environment(redis_url, "benchtest"), "bench", "--jobs", "500", "--json")
    results = json.loads(done.stdout)
    assert (
        results["priority_order"] and results["drain_per_s"] > 0 and results["raw_pipelined_evals_per_s"] > 0
    )
    assert results["latency_ms"]["max"] < 4_000  # no job waited for a worker to look by itself
    assert list(keys.scan_iter("bench-*")) == []
    keys.close()


def test_bench_that_is_told_to_end_leaves_nothing_behind(redis_url: str, keys: redis.Redis) -> None:
    bench = subprocess.Popen(
        ironforge("bench", "--jobs", "100000"),
        env=environment(redis_url, "benchtest"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: list(keys.scan_iter("bench-*:job:*", count=10_000))[:1], 20, "jobs are submitted")
    bench.send_signal(signal.SIGTERM)
    assert bench.stderr
    assert b"interrupted" in bench.stderr.read()
    bench.stderr.close()
    assert bench.wait(30) == 130
    assert list(keys.scan_iter("bench-*", count=10_000)) == []
    keys.close()
