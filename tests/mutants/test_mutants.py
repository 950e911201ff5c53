"""The mutants: what each operator makes of a sample, and that the tests of the scripts notice what they should."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.equivalents import Equivalent, listed, matched
from tests.mutants.killing import scripts_with
from tests.mutants.lua_tokens import LuaError
from tests.mutants.lua_tree import parse
from tests.mutants.mutant import LUA, Mutant, all_mutants, mutants_of

_ROOT = Path(__file__).parents[2]
_SEED = 3


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    return all_mutants()


@pytest.mark.parametrize(
    ("operator", "line", "after"),
    [
        ("drop", "touch(queue)", ["do end"]),
        ("drop", "state.wake = false", ["do end"]),
        ("drop", "if redis.call('SREM', k, v) == 0 then a() end", ["if 0 == 0 then a() end", "if 1 == 0 then a() end", "if redis.call('SREM', k, v) == 0 then do end end"]),
        ("drop", "local p = redis.call('ZPOPMIN', k, n)", ["local p = redis.call('ZRANGE', k, 0, n - 1, 'WITHSCORES')"]),
        ("drop", "return remember(k, h, 'done')", ["return 'done'"]),
        ("field", "redis.call('HSET', k, 'a', 1, 'b', x)", ["redis.call('HSET', k, 'b', x)", "redis.call('HSET', k, 'a', 1)"]),
        ("field", "redis.call('HDEL', k, 'a', 'b')", ["redis.call('HDEL', k, 'b')", "redis.call('HDEL', k, 'a')"]),
        ("field", "local s = { 'status', x, 'at', y }", ["local s = { 'at', y }", "local s = { 'status', x }"]),
        ("flag", "redis.call('ZADD', k, 'NX', s, m)", ["redis.call('ZADD', k, s, m)"]),
        ("flag", "redis.call('SET', k, v, 'XX', 'KEEPTTL')", ["redis.call('SET', k, v, 'KEEPTTL')", "redis.call('SET', k, v, 'XX')"]),
        ("flag", "redis.call('ZRANGE', k, 1, 2, 'LIMIT', 0, n)", ["redis.call('ZRANGE', k, 1, 2)"]),
        ("part", "add(queue_key(q, 'queued'), s, id)", ["add(queue_key(q, 'suspects'), s, id)"]),
        ("negate", "if a == b then return end", ["if a ~= b then return end"]),
        ("negate", "while ready(q) do pop() end", ["while not (ready(q)) do pop() end"]),
        ("negate", "if not job then return end", ["if job then return end"]),
        ("negate", "local x = a and b or c", ["local x = not (a) and b or c"]),
        ("compare", "if a or b == c then return end", ["if a or b ~= c then return end"]),
        ("bound", "local x = a < b", ["local x = a <= b"]),
        ("bound", "if n >= 3 then return end", ["if n > 3 then return end", "if n >= 4 then return end", "if n >= 2 then return end"]),
        ("sum", "local x = a + b * c", ["local x = a - b * c", "local x = a + b / c"]),
        ("connect", "local x = a and b", ["local x = a or b", "local x = a", "local x = b"]),
        ("go-on", "if a then return 'gone' end", ["if a then end"]),
    ],
)  # fmt: skip
def test_what_an_operator_makes_of_a_line(operator: str, line: str, after: list[str]) -> None:
    found = [mutant.after for mutant in mutants_of("sample", line + "\n") if mutant.operator == operator]
    assert sorted(found) == sorted(after)


def test_a_last_return_is_no_early_one() -> None:
    found = mutants_of("sample", "local function f(a)\n  if a then return 1 end\n  return 2\nend\n")
    assert [(one.name, one.within) for one in found if one.operator == "go-on"] == [("sample:2:go-on:1", "f")]


def test_names_and_texts_are_told_apart(mutants: list[Mutant]) -> None:
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    assert len({(mutant.file, mutant.text) for mutant in mutants}) == len(mutants)
    assert [mutant.name for mutant in mutants if mutant.before == mutant.after] == []
    for mutant in random.Random(_SEED).sample(mutants, 100):
        parse(mutant.text)  # still Lua


def test_every_script_has_mutants(mutants: list[Mutant]) -> None:
    assert {mutant.file for mutant in mutants} == {path.stem for path in LUA.glob("*.lua")}


@pytest.mark.parametrize("text", ["if a then", "local = 3", "f(", "x = = 1", "a b", "'open"])
def test_what_is_no_lua_is_refused(text: str) -> None:
    with pytest.raises(LuaError):
        parse(text)


def test_a_shared_part_is_in_the_scripts_that_use_it() -> None:
    assert scripts_with("claim") == ["claim"]
    assert "settle" in scripts_with("_finish") and "enqueue" not in scripts_with("_finish")
    assert len(scripts_with("_prelude")) == len(list(LUA.glob("[a-z]*.lua")))


def test_every_listed_equivalent_is_a_mutant(mutants: list[Mutant]) -> None:
    _, unknown = matched(mutants, listed())
    assert [entry.shown for entry in unknown] == []


def test_an_entry_is_one_change_several_or_every_change_of_its_line(tmp_path: Path) -> None:
    found = mutants_of("sample", "if a < 1 then return end\nif b < 1 then return end\n")
    entry = '[[equivalent]]\nfile = "sample"\nbefore = "if {} < 1 then return end"\n{}reason = "none"\n'
    (tmp_path / "a.toml").write_text(entry.format("a", ""))
    two = 'after = ["if b <= 1 then return end", "if b < 2 then return end"]\n'
    (tmp_path / "b.toml").write_text(entry.format("b", two))
    known, unknown = matched(found, listed(tmp_path))
    of_a = {one.after for one in found if one.name in known and " a " in one.before}
    of_b = {one.after for one in found if one.name in known and " b " in one.before}
    assert of_a == {one.after for one in found if " a " in one.before} and len(of_a) == 5
    assert of_b == {"if b <= 1 then return end", "if b < 2 then return end"} and unknown == []
    gone = matched(found, [Equivalent("sample", "", "if c < 1 then return end", None, "none")])
    assert gone[0] == {} and len(gone[1]) == 1


@pytest.mark.parametrize("text", ['file = "a"\nbefore = "b"\nreason = " "\n', 'file = "a"\nreason = "c"\n'])
def test_an_entry_without_its_reason_or_line_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.toml").write_text(f"[[equivalent]]\n{text}")
    with pytest.raises(ValueError, match=r"entry 1 of a\.toml"):
        listed(tmp_path)


def _run(folder: Path, *arguments: str) -> dict[str, object]:
    result = folder / "result.json"
    command = [sys.executable, "-m", "tests.mutants", "--quick", "--keep-going", "--json", str(result)]
    done = subprocess.run([*command, *arguments], cwd=_ROOT, capture_output=True, text=True, timeout=100)
    assert result.exists(), done.stdout + done.stderr
    return {"exit": done.returncode, "said": done.stdout, **json.loads(result.read_text())}


# Guards and writes that must never be missed: an operator, and what the changed line holds before and no longer after.
_WELL_KNOWN = (
    ("settle's fence", ("settle", "_finish", "_complete"), "connect", "fence ==|~= fence"),
    ("progress' fence", ("progress",), "go-on", "return 'refused'"),
    ("the running index", ("claim",), "drop", "'running'\\), "),
    ("the lease", ("renew",), "drop", "'ZADD', P .. 'workers'"),
    ("what the auditor says of a place", ("_judge",), "drop", "say\\(rule"),
    ("a repair's look at what is well", ("repair",), "go-on", "is_right\\(job, score\\) then return"),
    ("the error group", ("retry",), "drop", "leave_group\\("),
)


def test_well_known_mutants_are_killed(tmp_path: Path, mutants: list[Mutant]) -> None:
    names: list[str] = []
    for what, files, operator, pattern in _WELL_KNOWN:
        found = [
            one.name
            for one in mutants
            if one.file in files and one.operator == operator
            and re.search(pattern, one.before) and not re.search(pattern, one.after)
        ]  # fmt: skip
        assert found, f"no script has a mutant without {what} any more"
        names += found
    told = _run(tmp_path, *(argument for name in names for argument in ("--name", name)))
    assert told["exit"] == 0, told["said"]
    fates: dict[str, list[str]] = told["fates"]  # type: ignore[assignment]
    assert len(fates) == len(names)
    assert all(fate[0].startswith("killed") for fate in fates.values()), fates


def test_a_survivor_and_a_wrong_entry_fail_the_command(tmp_path: Path, mutants: list[Mutant]) -> None:
    """raw.lua leaves its own tests nothing to see of one of its writes."""
    of_raw = [one for one in mutants if one.file == "raw" and one.operator == "drop"]
    (survivor,) = (one for one in of_raw if "'a'), now_ms" in one.before)
    (killed,) = (one for one in of_raw if "'b'), now_ms" in one.before)
    entries = tmp_path / "equivalent.toml"
    entry = '[[equivalent]]\nfile = "raw"\nbefore = "{}"\nafter = "{}"\nreason = "none"\n'
    entries.write_text(entry.format(killed.before, killed.after) + entry.format("gone", "do end"))
    told = _run(tmp_path, "--name", survivor.name, "--name", killed.name, "--equivalent", str(entries))
    assert told["exit"] == 1
    assert (told["survivors"], told["refuted"]) == ([survivor.shown], [killed.shown])
    assert told["unknown"] == ["raw.lua\n    - gone\n    + do end"]
    assert survivor.shown in str(told["said"]) and "no such mutant any more: raw.lua" in str(told["said"])
