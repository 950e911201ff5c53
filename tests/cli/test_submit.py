"""`ironforge submit`: one job from words, many from lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import document, run, submitted
from tests.system.processes import environment

DIGITS = "9" * 5_000  # more than Python reads as an integer by itself


def test_values_keep_their_types(env: dict[str, str]) -> None:
    words = ("n=1", "t=true", "z=01", "text=hello world", 'list=[1, "2"]', "no=NaN", 'quoted="1"', "e=")
    job_id = submitted(env, "later.kind", *words, "--tag", "a", "--priority", "high")
    job = document(env, "jobs", "show", job_id)
    assert job["payload"] == {
        "n": 1, "t": True, "z": "01", "text": "hello world", "list": [1, "2"], "no": "NaN", "quoted": "1", "e": "",
    }  # fmt: skip
    assert (job["status"], job["priority"], job["tags"]) == ("scheduled", "high", ["a"])


def test_numbers_are_stored_and_shown_as_they_were_written(env: dict[str, str]) -> None:
    job_id = submitted(env, "later.kind", f"long={DIGITS}", "price=1.10")
    for words in (("jobs", "show", job_id), ("jobs", "show", job_id, "--json")):
        shown = run(env, *words).stdout
        assert f'"long": {DIGITS},' in shown and '"price": 1.10' in shown


def test_values_after_options_and_beside_a_payload(env: dict[str, str]) -> None:
    job_id = run(
        env, "submit", "later.kind", "--payload", '{"a": 1.0, "b": 2}', "--delay", "3600", "b=3", "c=4"
    ).stdout.strip()
    assert document(env, "jobs", "show", job_id)["payload"] == {"a": 1.0, "b": 3, "c": 4}


def test_payload_from_a_file_and_from_standard_input(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"a": 1}')
    for given, stdin in ((f"@{tmp_path / 'p.json'}", ""), ("-", '{"a": 1}'), ('{"a": 1}', "")):
        words = ("submit", "later.kind", "--payload", given, "--delay", "3600")
        job_id = run(env, *words, stdin=stdin).stdout.strip()
        assert document(env, "jobs", "show", job_id)["payload"] == {"a": 1}


def test_wait_tells_how_it_ended(env: dict[str, str]) -> None:
    assert run(env, "submit", "cache.warm", "key=a", "--wait").stdout.strip().endswith(" completed")
    gone = run(env, "submit", "webhook.deliver", "url=https://gone", "event=e", "--wait", code=1)
    assert gone.stdout.strip().endswith(" dead") and "Discard" in gone.stderr


def test_the_same_request_under_a_key_is_the_same_job(env: dict[str, str]) -> None:
    words = ("submit", "later.kind", "--delay", "3600", "--idempotency-key", "k1")
    assert run(env, *words).stdout == run(env, *words).stdout
    assert "different request" in run(env, *words, "n=2", code=1).stderr


def test_lines_are_submitted_in_order_and_bad_ones_named(env: dict[str, str]) -> None:
    deep = "[" * 100 + "]" * 100
    lines = [
        '{"kind": "x", "delay_s": 3600, "payload": {"n": 1}}',
        "not json",
        '{"kind": "Bad Kind"}',
        "",
        '{"kind": "x"}, {"kind": "y"}',
        '{"kind": "x", "payload": {"a": NaN}}',
        f'{{"kind": "x", "payload": {{"a": {deep}}}}}',
        "[1]",
        '{"kind": "x", "payload": {"a": "' + "y" * 2_000_000 + '"}}',
        '{"kind": "x", "delay_s": 3600, "payload": {"n": 2}}',
    ]
    done = run(env, "submit", "--stdin", stdin="\n".join(lines), code=1)
    ids = done.stdout.split()
    assert [document(env, "jobs", "show", job_id)["payload"] for job_id in ids] == [{"n": 1}, {"n": 2}]
    for number, said in (
        (2, "not JSON"), (3, "/kind"), (5, "not JSON"), (6, "NaN"), (7, "deep"), (8, "object"), (9, "longer"),
    ):  # fmt: skip
        assert any(line.startswith(f"line {number}:") and said in line for line in done.stderr.splitlines())
    assert "2 accepted, 7 refused" in done.stderr


def test_large_lines_are_sent_in_several_batches(env: dict[str, str]) -> None:
    """Together they are more than the server takes at once."""
    line = json.dumps({"kind": "x", "delay_s": 3600, "payload": {"a": "y" * 200_000}})
    done = run(env, "submit", "--stdin", "--json", stdin="\n".join([line] * 45))
    assert len({json.loads(found)["id"] for found in done.stdout.splitlines()}) == 45


def test_a_server_away_tells_what_was_accepted(redis_url: str) -> None:
    env = environment(redis_url, "nobody", IRONFORGE_URL="http://127.0.0.1:9")
    done = run(env, "submit", "--stdin", stdin='\n{"kind": "x"}\n{"kind": "y"}\n', code=3)
    assert "0 accepted, 0 refused before line 2; lines 2 to 3 may be accepted or not" in done.stderr
    assert "Start one with" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "name a KIND"),
        (("a=1",), 2, "name a KIND before a=1"),
        (("x", "novalue"), 2, "is not key=value"),
        (("x", "a=1", "a=2"), 2, "given twice"),
        (("x", "--payload", "{"), 2, "not JSON"),
        (("x", "--payload", '{"a":NaN}'), 2, "NaN"),
        (("x", "--payload", '{}, "queue":"y"'), 2, "not JSON"),
        (("x", "--payload", "[1]"), 1, "payload"),
        (("x", "--payload", "[1]", "a=1"), 2, "adds to an object"),
        (("x", "--payload", '{"a":1,"a":2}'), 1, "twice"),
        (("x", "--payload", "@/no/such/file"), 2, "cannot be read"),
        (("x", "--payload", "[" * 100_000), 2, "deep"),
        (("x", "a=" + "[" * 70 + "]" * 70), 1, "deep"),
        (("x", "--delay", "nan"), 2, "--delay"),
        (("x", "--delay", "-1"), 1, "delay_s"),
        (("x", "--run-at", "soon"), 1, "RFC 3339"),
        (("x", "--idempotency-key", "é"), 2, "idempotency key"),
        (("x", "--max-retries", "101"), 1, "max_retries"),
        (("Bad Kind",), 1, "kind"),
        (("--stdin", "--priority", "high"), 2, "--stdin takes whole jobs"),
        (("--stdin", "x"), 2, "--stdin takes whole jobs"),
    ],
)
def test_mistakes_get_one_sentence_and_the_right_code(
    env: dict[str, str], words: tuple[str, ...], code: int, said: str
) -> None:
    before = document(env, "jobs", "list", "--limit", "1")["total"]
    assert said in run(env, "submit", *words, code=code).stderr
    assert document(env, "jobs", "list", "--limit", "1")["total"] == before
