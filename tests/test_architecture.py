"""What machines can check about the shape of the code."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ironforge"
MODULES = sorted(PACKAGE.rglob("*.py"))
LUA = sorted((PACKAGE / "queue" / "lua").glob("*.lua"))
LONGEST_MODULE, LONGEST_FUNCTION, MOST_PARAMETERS, LONGEST_LUA = 400, 60, 8, 130
# The three that say one thing to a registration are tested with it.
_TESTED_WITH = {"renew": "register", "beat": "register", "deregister": "register"}
FORBIDDEN_NAMES = {"utils", "common", "helpers", "base", "misc", "types", "constants"}


def _tracked() -> list[Path]:
    """What is part of the project; without git, all that is not hidden."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False).stdout.decode()
    except FileNotFoundError:
        listed = ""
    tracked = [ROOT / name for name in listed.split("\0") if name]
    return tracked or [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_modules_and_functions_fit_a_reader(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    assert path.stem not in FORBIDDEN_NAMES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{node.name} is too long"
            parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            counted = [one for one in parameters if one.arg not in ("self", "cls")]
            if node.name != "new_job":  # one parameter for each option of a job
                assert len(counted) < MOST_PARAMETERS, f"{node.name} has too many parameters"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_queue_and_embedded_speak_to_redis(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] not in ("queue", "embedded"):
        assert not re.search(r"^\s*(import redis|from redis)", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", LUA, ids=lambda path: path.stem)
def test_a_script_has_a_contract_and_a_test(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"-- {path.name}: ")
    assert len(text.splitlines()) <= LONGEST_LUA
    if not path.stem.startswith("_"):
        assert "-- KEYS[1] prefix" in text and "Returns" in text
        own = ROOT / "tests" / "queue" / f"test_{_TESTED_WITH.get(path.stem, path.stem)}.py"
        assert own.exists(), f"{path.name} has no {own.name}"


def test_nothing_names_a_registry_or_a_machine() -> None:
    hosts = (
        "pypi" + ".org",
        "python" + "hosted",
        "npmjs" + ".",
        "deb.debian" + ".org",
        "file:///" + "opt",
        "/root" + "/",
        "/work" + "/",
    )
    for path in _tracked():
        if path.suffix in (".png", ".pyc") or not path.is_file() or path.name == "test_architecture.py":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [host for host in hosts if host in text], path


def test_no_lock_file_and_every_pin_has_a_hash() -> None:
    assert not [path for path in _tracked() if path.name == "uv.lock"]
    for name in ("constraints.txt", "constraints-test.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        pins = re.split(r"\n(?=\S)", text.strip())
        for pin in pins:
            assert "==" in pin.split()[0] and "--hash=sha256:" in pin, pin[:60]


def test_tests_wait_on_facts() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name == "waiting.py" or "tasks" in path.name:  # what a handler does is not a test's waiting
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "sleep"
            ):
                to_the_loop = [ast.unparse(word) for word in node.args] == ["0"]
                assert to_the_loop, f"{path.name}:{node.lineno} sleeps"
