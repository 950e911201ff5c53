"""What stands in README.md and docs/: their blocks of code, to be run or parsed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.system.processes import ROOT

README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def section(document: Path, title: str) -> str:
    """What stands under a heading of the second level. Raises IndexError where there is none."""
    return document.read_text(encoding="utf-8").split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def blocks(text: str, *languages: str) -> list[str]:
    """The blocks of code in these languages, in their order."""
    found: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [code for language, code in found if language in languages]


def bash(lines: str, env: dict[str, str], cwd: Path = ROOT, timeout_s: float = 60) -> str:
    """Runs them as they stand, stopping at the first that fails; what they printed."""
    command = ["bash", "-euo", "pipefail", "-c", lines]
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout
