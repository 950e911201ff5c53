"""The documents are true: their links, commands, variables, routes and metrics exist, and their code runs."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ironforge import config
from ironforge.cli.main import COMMANDS, main
from ironforge.forge import Forge
from ironforge.metrics import render
from ironforge.queue.readings import Stats
from ironforge.server.app import create_app
from ironforge.tui.commands import COMMANDS as CONSOLE_COMMANDS
from ironforge.tui.commands import MOVES
from tests.needs import needs
from tests.system.documents import DOCUMENTS, README, bash, blocks, section
from tests.system.processes import ROOT, await_port, await_text, environment, free_port, ironforge, running

DOCS = ROOT / "docs"
_OF_COMPOSE = {"IRONFORGE_PORT"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _commands() -> list[str]:
    """Every `ironforge …` line of a shell block."""
    lines = [
        line
        for path in DOCUMENTS
        for code in blocks(path.read_text(), "sh", "bash")
        for line in code.splitlines()
    ]
    found = (re.search(r"(?:^|[|(] *|forge run )(ironforge(?:-console)?(?: .*)?)$", line) for line in lines)
    return sorted({match[1] for match in found if match})


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_python_compiles_and_imports_what_exists(path: Path) -> None:
    for code in blocks(path.read_text(encoding="utf-8"), "python"):
        compile(code, path.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ironforge"):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, name.name) for name in node.names)


@pytest.mark.parametrize("command", _commands())
def test_commands_are_spelt_as_the_parser_wants_them(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[argparse.Namespace] = []

    def note(args: argparse.Namespace) -> int:
        ran.append(args)
        return 0

    words = shlex.split(re.split(r" \|\|? |\)$| > ", command)[0], comments=True)
    for name in COMMANDS:
        module = importlib.import_module(f"ironforge.cli.{name}")
        monkeypatch.setattr(module, "run", note)
    assert main(["console", *words[1:]] if words[0] == "ironforge-console" else words[1:]) == 0
    assert len(ran) == 1


def test_variables_exist_and_all_are_told() -> None:
    known = set(config.ENVIRONMENT.values())
    pattern = r"\b(?:IRONFORGE_[A-Z_]+|REDIS_URL|BIND_ADDR)\b"
    for path in DOCUMENTS:
        assert set(re.findall(pattern, path.read_text())) <= known | _OF_COMPOSE, path
    assert known == set(re.findall(pattern, section(README, "Settings")))


def test_routes_are_those_of_the_server() -> None:
    table = section(DOCS / "http-api.md", "Calls")
    told = {
        (verb, path.split("?")[0]) for verb, path in re.findall(r"`(GET|POST|PUT|DELETE) (/[^` ]*)`", table)
    }
    described = create_app(Forge("unix:///nowhere")).openapi()["paths"]
    there = {
        (verb.upper(), re.sub(r"\{job_id\}", "{id}", path))
        for path, calls in described.items()
        for verb in calls
    }
    assert told == there


def test_files_of_the_map_exist() -> None:
    rows = section(DOCS / "architecture.md", "Where to find what").splitlines()
    assert len(rows) > 20
    for row in rows:
        folder = ROOT
        for name in re.findall(r"`([\w/]+(?:/|\.py|\.lua))`", row):
            path = ROOT / name if "/" in name else folder / name
            assert path.exists() or "NAME" in name, f"{name} in {row}"
            folder = path.parent


def test_keys_of_the_console_exist() -> None:
    shown = {key for command in CONSOLE_COMMANDS for key in command.shown.split()}
    shown |= {key for keys, _ in MOVES for key in keys.split()}
    rows = [row.split(" | ") for row in section(README, "The console").splitlines() if row.startswith("| `")]
    told = {key for row in rows for cell in (row[0], row[2]) for key in re.findall(r"`(.+?)`", cell)}
    assert len(told) > 20 and told <= shown


def test_metrics_exist() -> None:
    there = set(re.findall(r"^# TYPE (\w+)", render(Stats(), [], []).decode(), re.MULTILINE))
    for path in DOCUMENTS:
        for name in re.findall(r"\bironforge_\w+", path.read_text()):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in there, f"{name} in {path.name}"


@needs("promtool")
def test_alert_rules_are_valid(tmp_path: Path) -> None:
    (rules,) = blocks(section(DOCS / "operations.md", "What to watch"), "yaml")
    assert yaml.safe_load(rules)
    (tmp_path / "rules.yml").write_text(rules)
    done = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs("bash", "curl", "jq")
def test_getting_started_and_the_http_page_run_as_they_stand(redis_url: str, tmp_path: Path) -> None:
    guide, http = DOCS / "getting-started.md", (DOCS / "http-api.md").read_text(encoding="utf-8")
    (mail,) = blocks(section(guide, "3. Write a task"), "python")
    (tmp_path / "mail.py").write_text(mail)
    address = f"127.0.0.1:{free_port()}"
    env = environment(redis_url, "guide", BIND_ADDR=address, IRONFORGE_URL=f"http://{address}")
    with (
        running(ironforge("server"), env, tmp_path / "server.log", cwd=tmp_path),
        running(ironforge("worker", "mail:forge"), env, tmp_path / "worker.log", cwd=tmp_path),
    ):
        await_port(int(address.rpartition(":")[2]))
        await_text(tmp_path / "worker.log", "worker ready")
        (submit,) = blocks(section(guide, "5. Submit"), "bash")
        shown = bash(submit, env, tmp_path)
        assert '"status": "completed"' in shown and '"retry_count": 1' in shown and "exit code 1" in shown
        look, again = blocks(section(guide, "6. See what became of it"), "bash")
        assert "'nobody' is no address" in bash(look, env, tmp_path)
        assert "queued again" in bash(again, env, tmp_path)
        calls, pages, twice = blocks(http, "bash")
        assert '"ok"' in bash(calls, env, tmp_path)
        assert len(bash(pages, env, tmp_path).split()) >= 5
        assert bash(twice, env, tmp_path).split() == ["201", "200"]


def test_the_python_page_runs_as_it_stands(redis_url: str, tmp_path: Path) -> None:
    page = DOCS / "python-api.md"
    (tasks,) = blocks(section(page, "Tasks"), "python")
    submit, sync = blocks(section(page, "Submitting"), "python")
    (mount,) = blocks(section(page, "The server elsewhere"), "python")
    _, handler = blocks(section(page, "Workers"), "python")
    inner = "".join(f"    {line}\n" for line in submit.splitlines())
    program = f"{tasks}\nimport asyncio\n\nasync def main():\n{inner}\nasyncio.run(main())\n{sync}\n{mount}\n{handler}"
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path, env=environment(redis_url, "page"), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "queued\nqueued\n"), done.stderr


def test_the_guides_test_of_a_task_passes(redis_url: str, tmp_path: Path) -> None:
    guide = DOCS / "getting-started.md"
    (mail,) = blocks(section(guide, "3. Write a task"), "python")
    (test,) = blocks(section(guide, "7. Test your tasks"), "python")
    (tmp_path / "mail.py").write_text(mail)
    (tmp_path / "test_mail.py").write_text(f"{test}\n\nimport asyncio\nasyncio.run(test_mail_is_sent())\n")
    env = environment(redis_url, "guidetest")
    done = subprocess.run(
        [sys.executable, "test_mail.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
