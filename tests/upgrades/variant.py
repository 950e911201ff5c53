"""The version after this one, made from this one: a copy of the package with another form of jobs and other scripts.

Its payloads lie in another field, so that this version, if it read them, would run them without their arguments.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import ironforge

VERSION, FORM = "99.0.0", 2
_CHANGES = {
    "__init__.py": (('__version__ = "', f'__version__ = "{VERSION}" or "'),),
    "job.py": (("\nFORMAT = 1\n", f"\nFORMAT = {FORM}\n"),),
    "queue/codec.py": (
        ('extra += ("payload", new.payload_json)', 'extra += ("body", new.payload_json)'),
        (
            '    b"payload": ("payload_json", bytes),\n',
            '    b"payload": ("payload_json", bytes),\n    b"body": ("payload_json", bytes),\n',
        ),
    ),
    # Every script has another digest.
    "queue/lua/_prelude.lua": (("local P = KEYS[1]\n", f"local P = KEYS[1]\nlocal FORM = {FORM}\n"),),
}
NOT_BESIDE = {"queue/versions.py": (("OLDEST_BESIDE = 1\n", f"OLDEST_BESIDE = {FORM}\n"),)}


def make_next(folder: Path, *, beside: bool = True) -> Path:
    """The next version in `folder`, for a process that has it first in PYTHONPATH.

    Args:
        folder: does not exist.
        beside: whether it can work beside this one.
    """
    package = Path(ironforge.__file__).parent
    shutil.copytree(package, folder / "ironforge", ignore=shutil.ignore_patterns("__pycache__"))
    for name, changes in (_CHANGES if beside else {**_CHANGES, **NOT_BESIDE}).items():
        path = folder / "ironforge" / name
        text = path.read_text(encoding="utf-8")
        for before, after in changes:
            assert text.count(before) == 1, f"{name} has not exactly one {before!r}"
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")
    return folder
