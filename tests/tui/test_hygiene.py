from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import ironforge.tui

FOLDER = Path(ironforge.tui.__file__).parent


def test_the_console_paints_before_it_loads_anything_heavy() -> None:
    code = "import sys, ironforge.tui.app; print(*sorted({m.split('.')[0] for m in sys.modules} & set(sys.argv[1].split())))"
    heavy = "httpx redis fastapi uvicorn pydantic"
    found = subprocess.run([sys.executable, "-c", code, heavy], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_no_table_of_textuals_and_no_markup() -> None:
    """DataTable is slow; markup in `update`, `notify` and titles is how text of a job ends the program."""
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert "DataTable" not in {alias.name for alias in node.names}, path
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr != "notify", f"{path}: flash, do not notify"
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
                title = node.targets[0].attr in ("border_title", "border_subtitle")
                made = isinstance(node.value, ast.JoinedStr)
                assert not (title and made), f"{path}: a title is markup; use Content"


def test_views_and_widgets_know_no_http() -> None:
    for folder in ("views", "widgets", "dialogs"):
        for path in (FOLDER / folder).glob("*.py"):
            imported = {
                node.module or ""
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ImportFrom)
            }
            assert not any(name.endswith((".api", ".stream")) or name == "httpx" for name in imported), path
